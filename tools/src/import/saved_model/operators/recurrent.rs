//! Loops that are a recurrent layer.
//!
//! What a turn computes is written as a term of its state, with sums and products in one order whatever the
//! nodes' order was. The term that each recurrent layer of Keras would have, with the weights found in it, is
//! written likewise, and if the two are the same the loop is that layer. Anything else is walked turn by turn.

use std::collections::HashMap;
use std::rc::Rc;

use serde_json::json;

use super::super::known::{self, Known};
use super::super::lower::{Lowering, Value, layer_name, needed, split_name};
use super::super::proto::{FunctionDef, NodeDef};
use crate::import::Fault;
use crate::import::keras::Weight;

/// Functions that Keras' recurrent layers are made with, and their names there.
const ACTIVATIONS: &[(&str, &str)] =
    &[("Sigmoid", "sigmoid"), ("Tanh", "tanh"), ("Relu", "relu"), ("Softsign", "softsign")];

/// The most nodes of a turn: an LSTM has 30, a GRU 50.
const MAX_NODES: usize = 256;

/// A number for a term, the same for the same term.
type Term = usize;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Node {
    /// A value of the state, as the turn finds it.
    State(usize),
    /// A number.
    Number(u64),
    /// A weight: its number among those found.
    Weight(usize),
    /// The element of a list for this turn: the numbers of list and counter in the state.
    Item(usize, usize),
    /// A list with an element set: list, index, element.
    Set(Term, Term, Term),
    /// Terms added up, in rising order.
    Sum(Vec<Term>),
    /// The product of two, in rising order.
    Product(Term, Term),
    /// One less another.
    Difference(Term, Term),
    /// Matrix product.
    Matrix(Term, Term),
    /// Columns from the one to before the other.
    Columns(Term, usize, usize),
    Function(&'static str, Term),
}

#[derive(Default)]
struct Terms {
    nodes: Vec<Node>,
    numbers: HashMap<Node, Term>,
    weights: Vec<Rc<Known>>,
    /// Whether the batch has one row, so that a row is a vector, too.
    is_of_one_row: bool,
}

impl Terms {
    fn of(&mut self, node: Node) -> Term {
        let next = self.nodes.len();
        let number = *self.numbers.entry(node.clone()).or_insert(next);
        if number == next {
            self.nodes.push(node);
        }
        number
    }

    fn number(&mut self, value: f64) -> Term {
        self.of(Node::Number(value.to_bits()))
    }

    /// Sums of sums are one sum.
    fn sum(&mut self, terms: &[Term]) -> Term {
        let mut flat = Vec::new();
        for &term in terms {
            match &self.nodes[term] {
                Node::Sum(inner) => flat.extend(inner),
                _ => flat.push(term),
            }
        }
        flat.sort_unstable();
        match flat[..] {
            [single] => single,
            _ => self.of(Node::Sum(flat)),
        }
    }

    fn product(&mut self, a: Term, b: Term) -> Term {
        self.of(Node::Product(a.min(b), a.max(b)))
    }

    fn columns(&mut self, x: Term, begin: usize, end: usize) -> Term {
        match self.width(x) {
            Some(width) if (begin, end) == (0, width) => x,
            _ => self.of(Node::Columns(x, begin, end)),
        }
    }

    fn weight(&mut self, known: &Rc<Known>) -> Term {
        let same = |other: &Rc<Known>| other.shape == known.shape && other.values == known.values;
        let at = self.weights.iter().position(same).unwrap_or_else(|| {
            self.weights.push(known.clone());
            self.weights.len() - 1
        });
        self.of(Node::Weight(at))
    }

    fn known(&self, term: Term) -> Option<&Rc<Known>> {
        match self.nodes[term] {
            Node::Weight(at) => Some(&self.weights[at]),
            _ => None,
        }
    }

    fn function(&mut self, name: &str, x: Term) -> Option<Term> {
        let (name, _) = ACTIVATIONS.iter().find(|(known, _)| *known == name)?;
        Some(self.of(Node::Function(name, x)))
    }

    /// The number of columns, where a product by a weight says it.
    fn width(&self, term: Term) -> Option<usize> {
        match &self.nodes[term] {
            Node::Weight(at) => self.weights[*at].shape.last().copied(),
            Node::Matrix(_, weight) => self.width(*weight),
            Node::Sum(terms) => terms.iter().find_map(|&term| self.width(term)),
            Node::Columns(_, begin, end) => Some(end - begin),
            Node::Function(_, x) => self.width(*x),
            Node::Product(a, b) => self.width(*a).or_else(|| self.width(*b)),
            _ => None,
        }
    }
}

/// The terms of a function's results. `None` where it has something that no recurrent layer has.
fn terms_of(
    low: &mut Lowering<'_, '_>,
    terms: &mut Terms,
    function: &FunctionDef,
    state: &[Value],
) -> Option<Vec<Term>> {
    let signature = function.signature.as_ref()?;
    let wanted: Option<Vec<&str>> =
        signature.outputs.iter().map(|output| function.ret.get(&output.name).map(String::as_str)).collect();
    let wanted = wanted?;
    let nodes = needed(function, &wanted).ok()?;
    if nodes.len() > MAX_NODES {
        return None;
    }
    let mut frame: HashMap<&str, Vec<Term>> = HashMap::new();
    let mut objects: HashMap<&str, usize> = HashMap::new();
    for (number, (input, value)) in signature.inputs.iter().zip(state).enumerate() {
        if let Value::Variable(object) = value {
            objects.insert(&input.name, *object);
        }
        frame.insert(&input.name, vec![terms.of(Node::State(number))]);
    }
    let find = |frame: &HashMap<&str, Vec<Term>>, input: &str| {
        let (name, _, number) = split_name(input);
        frame.get(name)?.get(number).copied()
    };
    for node in nodes {
        let inputs: Vec<&str> =
            node.inputs.iter().map(String::as_str).filter(|input| !input.starts_with('^')).collect();
        if node.op == "ReadVariableOp" {
            let object = *objects.get(*inputs.first()?)?;
            let known = low.variable(object).ok()?;
            frame.insert(&node.name, vec![terms.weight(&known)]);
            continue;
        }
        let args = inputs.iter().map(|input| find(&frame, input)).collect::<Option<Vec<Term>>>()?;
        let made = term_of(terms, node, &args)?;
        frame.insert(&node.name, made);
    }
    wanted.into_iter().map(|from| find(&frame, from)).collect()
}

fn term_of(terms: &mut Terms, node: &NodeDef, args: &[Term]) -> Option<Vec<Term>> {
    let integers = |terms: &Terms, term: Term| match terms.nodes[term] {
        Node::Number(bits) => Some(vec![f64::from_bits(bits) as i64]),
        _ => Some(terms.known(term)?.integers()),
    };
    Some(vec![match (node.op.as_str(), args) {
        ("Const", []) => {
            let known = Known::of_proto(&node.name, node.tensor("value")?).ok()?;
            match known.scalar() {
                Some(value) => terms.number(value),
                None => terms.weight(&known),
            }
        }
        ("Identity", &[x]) => x,
        ("AddV2" | "Add" | "BiasAdd", &[a, b]) => terms.sum(&[a, b]),
        ("Mul", &[a, b]) => terms.product(a, b),
        ("Sub", &[a, b]) => terms.of(Node::Difference(a, b)),
        ("MatMul", &[a, b])
            if node.bool("transpose_a") != Some(true) && node.bool("transpose_b") != Some(true) =>
        {
            terms.of(Node::Matrix(a, b))
        }
        ("TensorListGetItem", &[list, index, ..]) => match (&terms.nodes[list], &terms.nodes[index]) {
            (&Node::State(list), &Node::State(index)) => terms.of(Node::Item(list, index)),
            _ => return None,
        },
        ("TensorListSetItem", &[list, index, item]) => terms.of(Node::Set(list, index, item)),
        ("Split", &[axis, x]) => {
            let count = usize::try_from(node.int("num_split")?).ok().filter(|&count| count > 0)?;
            let axis = *integers(terms, axis)?.first()?;
            if let (Some(known), 0) = (terms.known(x).cloned(), axis) {
                let rows = *known.shape.first()?;
                if rows != count {
                    return None;
                }
                return Some(
                    known::split(&known, 0, &vec![1; count]).iter().map(|part| terms.weight(part)).collect(),
                );
            }
            let width =
                terms.width(x).filter(|width| width.is_multiple_of(count) && matches!(axis, 1 | -1))?;
            let part = width / count;
            return Some((0..count).map(|at| terms.columns(x, at * part, (at + 1) * part)).collect());
        }
        ("Squeeze", &[x]) if terms.is_of_one_row && terms.known(x).is_none() => x,
        ("Squeeze", &[x]) => {
            let known = terms.known(x)?.clone();
            let shape = known.shape.iter().copied().filter(|&extent| extent != 1).collect();
            terms.weight(&Known::new(&known.name, shape, known.values.clone(), false))
        }
        ("StridedSlice", &[x, begin, end, strides]) => {
            let [begin, end, strides] = [begin, end, strides].map(|term| integers(terms, term));
            let (&[_, begin], &[_, end], &[1, 1]) = (&begin?[..], &end?[..], &strides?[..]) else {
                return None;
            };
            let mask = |name: &str| node.int(name).unwrap_or(0);
            // All rows.
            if mask("begin_mask") & 1 == 0 || mask("end_mask") & 1 == 0 {
                return None;
            }
            if ["ellipsis_mask", "new_axis_mask", "shrink_axis_mask"].iter().any(|name| mask(name) != 0) {
                return None;
            }
            let width = terms.width(x)?;
            let begin = if mask("begin_mask") & 2 != 0 { 0 } else { usize::try_from(begin).ok()? };
            let end = if mask("end_mask") & 2 != 0 { width } else { usize::try_from(end).ok()?.min(width) };
            if begin >= end {
                return None;
            }
            match terms.known(x).cloned() {
                Some(known) if known.shape.len() == 2 => {
                    let sizes = [begin, end - begin, width - end];
                    terms.weight(&known::split(&known, 1, &sizes)[1])
                }
                _ => terms.columns(x, begin, end),
            }
        }
        (name, &[x]) => terms.function(name, x)?,
        _ => return None,
    }])
}

/// A recurrent layer and its weights, as Keras has them.
struct Found {
    class: &'static str,
    config: serde_json::Value,
    weights: Vec<Rc<Known>>,
    /// Numbers of its states: hidden, and for an LSTM the cell.
    states: Vec<usize>,
}

/// Which layer computes these results, and of which list and counter of the state.
fn layer_of(terms: &mut Terms, results: &[Term]) -> Option<(Found, (usize, usize))> {
    // Products by a weight of the input and of a state.
    let products: Vec<(Term, Term)> = terms
        .nodes
        .iter()
        .filter_map(|node| match *node {
            Node::Matrix(a, b) if terms.known(b).is_some() => Some((a, b)),
            _ => None,
        })
        .collect();
    let (x, kernel, input) = products.iter().find_map(|&(a, b)| match terms.nodes[a] {
        Node::Item(list, counter) => Some((a, b, (list, counter))),
        _ => None,
    })?;
    let hidden_products: Vec<(usize, Term)> = products
        .iter()
        .filter_map(|&(a, b)| match terms.nodes[a] {
            Node::State(number) => Some((number, b)),
            _ => None,
        })
        .collect();
    let &[(hidden, recurrent)] = &hidden_products[..] else { return None };
    let width = terms.width(kernel)?;
    let vectors: Vec<Term> = (0..terms.nodes.len())
        .filter(|&term| terms.known(term).is_some_and(|known| known.shape == [width]))
        .collect();
    let biases: Vec<Option<[Term; 2]>> = match vectors[..] {
        [] => vec![None],
        [single] => vec![Some([single; 2])],
        [a, b] => vec![Some([a, b]), Some([b, a])],
        _ => return None,
    };
    for bias in biases {
        for inner in ACTIVATIONS {
            for outer in ACTIVATIONS {
                let cell = Cell { x, kernel, hidden, recurrent, bias, inner, outer };
                let found = cell.lstm(terms, results);
                let found = found.or_else(|| cell.gru(terms, results));
                if let Some(found) = found.or_else(|| cell.simple(terms, results)) {
                    return Some((found, input));
                }
            }
        }
    }
    None
}

/// What a cell would be made of.
struct Cell {
    x: Term,
    kernel: Term,
    hidden: usize,
    recurrent: Term,
    bias: Option<[Term; 2]>,
    /// The function of what is new, and that of the gates: TensorFlow's name and Keras'.
    inner: &'static (&'static str, &'static str),
    outer: &'static (&'static str, &'static str),
}

impl Cell {
    fn with_bias(&self, terms: &mut Terms, product: Term, number: usize) -> Term {
        match self.bias {
            Some(bias) => terms.sum(&[product, bias[number]]),
            None => product,
        }
    }

    /// A layer of this cell, with the arguments of its class.
    fn layer(
        &self,
        class: &'static str,
        [kernel, recurrent]: [&Rc<Known>; 2],
        bias: Option<Rc<Known>>,
        states: Vec<usize>,
        mut config: serde_json::Value,
    ) -> Option<Found> {
        config["activation"] = self.inner.1.into();
        config["units"] = (*recurrent.shape.first()?).into();
        config["use_bias"] = bias.is_some().into();
        let weights = [kernel.clone(), recurrent.clone()].into_iter().chain(bias).collect();
        Some(Found { class, config, weights, states })
    }

    /// `c' = f · c + i · g`, `h' = o · act(c')`
    fn lstm(&self, terms: &mut Terms, results: &[Term]) -> Option<Found> {
        let units = terms.width(self.kernel)?.checked_div(4)?;
        let h = terms.of(Node::State(self.hidden));
        let products =
            [terms.of(Node::Matrix(self.x, self.kernel)), terms.of(Node::Matrix(h, self.recurrent))];
        let sum = terms.sum(&products);
        let z = self.with_bias(terms, sum, 0);
        let parts = [0, 1, 2, 3].map(|gate| terms.columns(z, gate * units, (gate + 1) * units));
        let [i, f, o] = [parts[0], parts[1], parts[3]].map(|part| terms.function(self.outer.0, part));
        let g = terms.function(self.inner.0, parts[2])?;
        for cell in (0..results.len()).filter(|&cell| cell != self.hidden) {
            let c = terms.of(Node::State(cell));
            let kept = terms.product(f?, c);
            let added = terms.product(i?, g);
            let c = terms.sum(&[kept, added]);
            let shown = terms.function(self.inner.0, c)?;
            let h = terms.product(o?, shown);
            if results[cell] == c && results[self.hidden] == h {
                let bias = self.bias.and_then(|[bias, _]| terms.known(bias).cloned());
                let matrices = [terms.known(self.kernel)?, terms.known(self.recurrent)?];
                let config = json!({"recurrent_activation": self.outer.1});
                return self.layer("LSTM", matrices, bias, vec![self.hidden, cell], config);
            }
        }
        None
    }

    /// `h' = z · h + (1 − z) · act(xₕ + r · hₕ)`, where `r` is applied after the product that gives `hₕ`, or
    /// before.
    fn gru(&self, terms: &mut Terms, results: &[Term]) -> Option<Found> {
        let units = terms.width(self.kernel)?.checked_div(3)?;
        let h = terms.of(Node::State(self.hidden));
        let product = terms.of(Node::Matrix(self.x, self.kernel));
        let x = self.with_bias(terms, product, 0);
        let [xz, xr, xh] = [0, 1, 2].map(|gate| terms.columns(x, gate * units, (gate + 1) * units));
        let reset_after = terms.width(self.recurrent)? == 3 * units;
        let product = terms.of(Node::Matrix(h, self.recurrent));
        let inner = if reset_after { self.with_bias(terms, product, 1) } else { product };
        let [z, r] = [(xz, 0), (xr, 1)].map(|(x, gate)| {
            let of_h = terms.columns(inner, gate * units, (gate + 1) * units);
            let sum = terms.sum(&[x, of_h]);
            terms.function(self.outer.0, sum)
        });
        let (z, r) = (z?, r?);
        let (of_h, recurrent) = if reset_after {
            let of_h = terms.columns(inner, 2 * units, 3 * units);
            (terms.product(r, of_h), terms.known(self.recurrent)?.clone())
        } else {
            let reset = terms.product(r, h);
            let last = terms.nodes.iter().find_map(|node| match *node {
                Node::Matrix(a, b) if a == reset => Some(b),
                _ => None,
            })?;
            let parts = [terms.known(self.recurrent)?.clone(), terms.known(last)?.clone()];
            (terms.of(Node::Matrix(reset, last)), known::concatenated(&parts, 1)?)
        };
        let sum = terms.sum(&[xh, of_h]);
        let candidate = terms.function(self.inner.0, sum)?;
        let one = terms.number(1.0);
        let rest = terms.of(Node::Difference(one, z));
        let kept = terms.product(z, h);
        let added = terms.product(rest, candidate);
        if results[self.hidden] != terms.sum(&[kept, added]) {
            return None;
        }
        let row = |terms: &Terms, term: Term| {
            let known = terms.known(term)?;
            Some(Known::new(&known.name, vec![1, known.shape[0]], known.values.clone(), false))
        };
        let bias = match self.bias {
            None => None,
            Some([bias, _]) if !reset_after => terms.known(bias).cloned(),
            Some([first, second]) => known::concatenated(&[row(terms, first)?, row(terms, second)?], 0),
        };
        let config = json!({"recurrent_activation": self.outer.1, "reset_after": reset_after});
        let matrices = [terms.known(self.kernel)?, &recurrent];
        self.layer("GRU", matrices, bias, vec![self.hidden], config)
    }

    /// `h' = act(x + h)`
    fn simple(&self, terms: &mut Terms, results: &[Term]) -> Option<Found> {
        let h = terms.of(Node::State(self.hidden));
        let products =
            [terms.of(Node::Matrix(self.x, self.kernel)), terms.of(Node::Matrix(h, self.recurrent))];
        let sum = terms.sum(&products);
        let sum = self.with_bias(terms, sum, 0);
        if results[self.hidden] != terms.function(self.inner.0, sum)? {
            return None;
        }
        let bias = self.bias.and_then(|[bias, _]| terms.known(bias).cloned());
        let matrices = [terms.known(self.kernel)?, terms.known(self.recurrent)?];
        self.layer("SimpleRNN", matrices, bias, vec![self.hidden], json!({}))
    }
}

/// What a loop leaves, where it is a recurrent layer from zeros over all of its input.
pub(super) fn evaluate(
    low: &mut Lowering<'_, '_>,
    [condition, body]: [&str; 2],
    state: &[Value],
) -> Result<Option<Vec<Value>>, Fault> {
    let rows = |value: &Value| match value {
        Value::Rows(items) => low.builder.dims(*items).get(1).copied(),
        _ => None,
    };
    let mut terms =
        Terms { is_of_one_row: state.iter().filter_map(rows).all(|rows| rows == 1), ..Terms::default() };
    let definition = low.function(body)?;
    let Some(results) = terms_of(low, &mut terms, definition, state) else { return Ok(None) };
    let Some((found, (list, counter))) = layer_of(&mut terms, &results) else { return Ok(None) };
    let Value::Rows(input) = &state[list] else { return Ok(None) };
    let input = *input;
    let dims = low.builder.dims(input);
    let &[turns, _, _] = &dims[..] else { return Ok(None) };
    let is_zero =
        |&at: &usize| matches!(&state[at], Value::Known(known) if known.values.iter().all(|&v| v == 0.0));
    if !found.states.iter().all(is_zero) {
        return Ok(None);
    }

    // What the others of the state become: they stay, or count turns, or collect what the layer gives.
    let one = terms.number(1.0);
    let mut after: Vec<Option<Value>> = Vec::with_capacity(state.len());
    let mut collected: Vec<(usize, bool)> = Vec::new();
    let mut last_turn = state.to_vec();
    for (at, &result) in results.iter().enumerate() {
        let own = terms.of(Node::State(at));
        let next = terms.sum(&[own, one]);
        let counts = match &state[at] {
            Value::Known(known) if result == next => known.scalar(),
            _ => None,
        };
        if result == own {
            after.push(Some(state[at].clone()));
        } else if let Some(start) = counts {
            let at_turn = |turn: u32| Value::Known(Known::ints(vec![], [start as i64 + i64::from(turn)]));
            last_turn[at] = at_turn(turns - 1);
            after.push(Some(at_turn(turns)));
        } else if let Node::Set(list, index, item) = terms.nodes[result] {
            let is_every = terms.nodes[index] == Node::State(counter);
            let is_first = terms.nodes[index] == Node::Number(0f64.to_bits());
            if list != own || item != results[found.states[0]] || !(is_every || is_first) {
                return Ok(None);
            }
            collected.push((at, is_every));
            after.push(None);
        } else if found.states.contains(&at) {
            after.push(None);
        } else {
            return Ok(None);
        }
    }
    // The counter of the input begins at its first row, and the loop ends behind the last.
    let starts = matches!(&state[counter], Value::Known(known) if known.scalar() == Some(0.0));
    let runs = |low: &mut Lowering<'_, '_>, state: Vec<Value>| -> Result<bool, Fault> {
        let holds = low.call(condition, state)?;
        Ok(matches!(holds.first(), Some(Value::Known(known)) if known.scalar() == Some(1.0)))
    };
    let mut ended = state.to_vec();
    for (at, value) in after.iter().enumerate() {
        if let Some(value) = value {
            ended[at] = value.clone();
        }
    }
    if !starts || !runs(low, last_turn)? || runs(low, ended)? {
        return Ok(None);
    }

    let sequences = collected.iter().any(|(_, is_every)| *is_every);
    let mut config = found.config;
    config["return_sequences"] = sequences.into();
    let weights: Vec<Weight> = found.weights.iter().map(|known| low.weight(known)).collect();
    low.builder.enter(layer_name(body_name(definition)), found.class);
    let x = low.builder.transpose(input, &[1, 0, 2])?;
    let y = low.builder.foreign_layer(found.class, config.clone(), weights.clone(), x)?;
    let rows = if sequences { Some(low.builder.transpose(y, &[1, 0, 2])?) } else { None };
    let hidden = match rows {
        Some(rows) => super::shapes::row(low, &Value::Tensor(rows), turns as usize - 1)?,
        None => Value::Tensor(y),
    };
    for (at, is_every) in collected {
        after[at] = Some(match rows.filter(|_| is_every) {
            Some(rows) => Value::Rows(rows),
            None => with_first(&state[at], hidden.clone()),
        });
    }
    for (number, &at) in found.states.iter().enumerate() {
        if number == 0 {
            after[at] = Some(hidden.clone());
            continue;
        }
        // A cell is seldom asked for. What gives it is a layer of its own, which goes where nothing reads it.
        config["return_state"] = true.into();
        let made = low.builder.foreign_layers(found.class, config.clone(), weights.clone(), x)?;
        after[at] = made.get(1 + number).copied().map(Value::Tensor);
    }
    Ok(after.into_iter().collect())
}

/// The list whose first item was set.
fn with_first(list: &Value, item: Value) -> Value {
    let mut items = match list {
        Value::List(items) if !items.is_empty() => items.to_vec(),
        _ => vec![None],
    };
    items[0] = Some(item);
    Value::List(Rc::new(items))
}

/// The name of a node of the loop, which says the layer.
fn body_name(function: &FunctionDef) -> &str {
    let name = function.nodes.first().map(|node| node.name.as_str()).unwrap_or_default();
    name.rsplit_once("/while/").map_or(name, |(layer, _)| &name[..layer.len() + "/while".len()])
}
