//! Expressions as Python writes them, as far as they compute: arithmetic, comparisons, calls, indices.

use serde_json::{Number, Value, json};

/// The longest expression in bytes: it also bounds how deep one is.
const MAX_BYTES: usize = 2048;

/// The deepest nesting of brackets, signs and powers.
const MAX_DEPTH: usize = 64;

/// What an expression says.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression {
    /// A number, a string, a truth value or nothing.
    Constant(Value),
    /// A name with its module, such as `x` or `np.pi`.
    Name(String),
    /// `$name`: an argument that the file has for the layer.
    Setting(String),
    /// `-x`.
    Negative(Box<Expression>),
    /// Two operands of an operation, which is called as its class in Keras is.
    Binary(&'static str, Box<[Expression; 2]>),
    /// A function with its module, positional arguments, and those with a name.
    Call(String, Vec<Expression>, Vec<(String, Expression)>),
    /// `x[…]`.
    Index(Box<Expression>, Vec<Subscript>),
    /// A list or a tuple.
    List(Vec<Expression>),
}

/// One entry of an index.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Subscript {
    /// A position, or `None`.
    At(Expression),
    /// `start:stop:step`.
    Slice([Option<Expression>; 3]),
    /// `...`.
    Ellipsis,
}

/// An expression, and what it calls its arguments where it begins with `lambda`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Function {
    pub(super) text: String,
    pub(super) arguments: Option<Vec<String>>,
    pub(super) result: Expression,
}

/// Operators of two operands by how tightly they bind, loosest first.
const OPERATORS: [&[(&str, &str)]; 3] = [
    &[
        ("==", "Equal"),
        ("!=", "NotEqual"),
        ("<=", "LessEqual"),
        (">=", "GreaterEqual"),
        ("<", "Less"),
        (">", "Greater"),
    ],
    &[("+", "Add"), ("-", "Subtract")],
    &[("*", "Multiply"), ("/", "TrueDivide"), ("//", "FloorDivide"), ("%", "Mod"), ("@", "Matmul")],
];

/// All symbols, longer ones first.
const SYMBOLS: [&str; 25] = [
    "...", "**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "@", "<", ">", "(", ")", "[", "]",
    ",", ":", "=", ".", "$", "\0",
];

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Symbol(&'static str),
    Name(String),
    Constant(Value),
    End,
}

impl Token {
    fn describe(&self) -> String {
        match self {
            Token::Symbol(symbol) => format!("`{symbol}`"),
            Token::Name(name) => format!("`{name}`"),
            Token::Constant(value) => format!("`{value}`"),
            Token::End => "the end".into(),
        }
    }
}

impl Function {
    /// Reads an expression, with `lambda x:` in front or without.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > MAX_BYTES {
            return Err(format!("an expression of {} bytes: the limit is {MAX_BYTES}", text.len()));
        }
        let mut parser = Parser { tokens: tokens(text)?, at: 0, taken: 0, depth: 0 };
        let mut arguments = None;
        if parser.takes_name("lambda") {
            let names = parser.list(":", |parser| parser.name())?;
            arguments = Some(names);
        }
        let result = parser.list_without_brackets()?;
        match parser.next() {
            Token::End => Ok(Self { text: text.to_owned(), arguments, result }),
            _ => Err(parser.wrong_before("an operator or the end")),
        }
    }
}

/// Each token with the number of the character that it begins at.
fn tokens(text: &str) -> Result<Vec<(usize, Token)>, String> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let begin = text[..text.len() - rest.len()].chars().count() + 1;
        let is_digit = |char: Option<char>| char.is_some_and(|char| char.is_ascii_digit());
        let (token, after) = if is_digit(Some(first)) || first == '.' && is_digit(rest.chars().nth(1)) {
            number(rest).ok_or_else(|| format!("at character {begin}: a number that is none"))?
        } else if first.is_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            (word(&rest[..end]), &rest[end..])
        } else if first == '"' || first == '\'' {
            let inside = &rest[1..];
            let end = inside
                .find(first)
                .ok_or_else(|| format!("at character {begin}: a string without its end"))?;
            (Token::Constant(inside[..end].into()), &inside[end + 1..])
        } else {
            let symbol = SYMBOLS
                .into_iter()
                .find(|symbol| rest.starts_with(symbol))
                .ok_or_else(|| format!("at character {begin}: `{first}` has no meaning"))?;
            (Token::Symbol(symbol), &rest[symbol.len()..])
        };
        found.push((begin, token));
        rest = after.trim_start();
    }
    found.push((text.chars().count() + 1, Token::End));
    Ok(found)
}

fn word(word: &str) -> Token {
    match word {
        "True" | "true" => Token::Constant(true.into()),
        "False" | "false" => Token::Constant(false.into()),
        "None" | "null" => Token::Constant(Value::Null),
        name => Token::Name(name.to_owned()),
    }
}

/// A number in front of `text`, and what comes after it.
fn number(text: &str) -> Option<(Token, &str)> {
    let digits = |from: usize| {
        let rest = &text[from..];
        from + rest.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(rest.len())
    };
    let mut end = digits(0);
    let mut is_integer = true;
    if text[end..].starts_with('.') {
        is_integer = false;
        end = digits(end + 1);
    }
    if text[end..].starts_with(['e', 'E']) {
        let sign = usize::from(text[end + 1..].starts_with(['+', '-']));
        let after = digits(end + 1 + sign);
        if after > end + 1 + sign {
            is_integer = false;
            end = after;
        }
    }
    let written = text[..end].replace('_', "");
    let value = match written.parse::<i64>() {
        Ok(integer) if is_integer => Number::from(integer),
        _ => Number::from_f64(written.parse().ok()?)?,
    };
    Some((Token::Constant(Value::Number(value)), &text[end..]))
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    at: usize,
    /// The token that was taken last.
    taken: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.at].1
    }

    /// The next token; the end comes again and again.
    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.taken = self.at;
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn takes(&mut self, symbol: &str) -> bool {
        let is_next = matches!(self.peek(), Token::Symbol(next) if *next == symbol);
        if is_next {
            self.next();
        }
        is_next
    }

    fn takes_name(&mut self, name: &str) -> bool {
        let is_next = matches!(self.peek(), Token::Name(next) if next == name);
        if is_next {
            self.next();
        }
        is_next
    }

    fn wrong(&self, expected: &str) -> String {
        let (begin, token) = &self.tokens[self.at];
        format!("at character {begin}: found {}, expected {expected}", token.describe())
    }

    /// [`Self::wrong`] of the token that was taken last.
    fn wrong_before(&mut self, expected: &str) -> String {
        self.at = self.taken;
        self.wrong(expected)
    }

    fn name(&mut self) -> Result<String, String> {
        match self.peek().clone() {
            Token::Name(name) => {
                self.next();
                Ok(name)
            }
            _ => Err(self.wrong("a name")),
        }
    }

    /// Items between commas, up to `end`, which is taken.
    fn list<T>(
        &mut self,
        end: &str,
        mut item: impl FnMut(&mut Self) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        let mut items = Vec::new();
        while !self.takes(end) {
            items.push(item(self)?);
            if !self.takes(",") && !matches!(self.peek(), Token::Symbol(next) if *next == end) {
                return Err(self.wrong(&format!("`,` or `{end}`")));
            }
        }
        Ok(items)
    }

    /// `a, b` is a tuple also without brackets.
    fn list_without_brackets(&mut self) -> Result<Expression, String> {
        let first = self.expression()?;
        if !matches!(self.peek(), Token::Symbol(",")) {
            return Ok(first);
        }
        let mut items = vec![first];
        while self.takes(",") && *self.peek() != Token::End {
            items.push(self.expression()?);
        }
        Ok(Expression::List(items))
    }

    fn deeper<T>(&mut self, f: impl FnOnce(&mut Self) -> Result<T, String>) -> Result<T, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(
                self.wrong(&format!("at most {MAX_DEPTH} brackets, signs and powers inside each other"))
            );
        }
        let result = f(self);
        self.depth -= 1;
        result
    }

    fn expression(&mut self) -> Result<Expression, String> {
        self.deeper(|parser| parser.binary(0))
    }

    /// Operands and operators that bind at least as tightly as those of `level`.
    fn binary(&mut self, level: usize) -> Result<Expression, String> {
        let Some(operators) = OPERATORS.get(level) else {
            return self.sign();
        };
        let mut left = self.binary(level + 1)?;
        let mut count = 0;
        while let Some((_, class)) = operators.iter().find(|(symbol, _)| self.takes(symbol)) {
            count += 1;
            if level == 0 && count > 1 {
                return Err(self.wrong_before("brackets around one of two comparisons"));
            }
            left = Expression::Binary(class, Box::new([left, self.binary(level + 1)?]));
        }
        Ok(left)
    }

    /// Signs bind looser than powers to their right: `-x ** 2` is `-(x ** 2)`.
    fn sign(&mut self) -> Result<Expression, String> {
        if self.takes("-") {
            return Ok(match self.deeper(Self::sign)? {
                Expression::Constant(Value::Number(number)) => Expression::Constant(negative(&number)),
                other => Expression::Negative(Box::new(other)),
            });
        }
        if self.takes("+") {
            return self.deeper(Self::sign);
        }
        let base = self.postfix()?;
        if self.takes("**") {
            let exponent = self.deeper(Self::sign)?;
            return Ok(Expression::Binary("Power", Box::new([base, exponent])));
        }
        Ok(base)
    }

    /// A value and what is called or indexed of it.
    fn postfix(&mut self) -> Result<Expression, String> {
        let mut value = self.value()?;
        loop {
            if self.takes("[") {
                let entries = self.list("]", Self::subscript)?;
                if entries.is_empty() {
                    return Err(self.wrong_before("an index"));
                }
                value = Expression::Index(Box::new(value), entries);
            } else if let Expression::Name(name) = &mut value {
                if self.takes(".") {
                    let member = self.name()?;
                    name.push('.');
                    name.push_str(&member);
                } else if self.takes("(") {
                    let name = std::mem::take(name);
                    let arguments = self.list(")", Self::argument)?;
                    let (mut args, mut kwargs) = (Vec::new(), Vec::new());
                    for (key, argument) in arguments {
                        match key {
                            Some(key) => kwargs.push((key, argument)),
                            None => args.push(argument),
                        }
                    }
                    value = Expression::Call(name, args, kwargs);
                } else {
                    return Ok(value);
                }
            } else {
                return Ok(value);
            }
        }
    }

    fn value(&mut self) -> Result<Expression, String> {
        match self.next() {
            Token::Constant(value) => Ok(Expression::Constant(value)),
            Token::Name(name) => Ok(Expression::Name(name)),
            Token::Symbol("$") => self.name().map(Expression::Setting),
            Token::Symbol("[") => self.list("]", Self::expression).map(Expression::List),
            Token::Symbol("(") => {
                let begin = self.at;
                let mut items = self.list(")", Self::expression)?;
                let is_tuple = self.tokens[begin..self.at - 1].last().map(|(_, token)| token)
                    == Some(&Token::Symbol(","));
                Ok(match items.len() {
                    1 if !is_tuple => items.remove(0),
                    _ => Expression::List(items),
                })
            }
            _ => Err(self.wrong_before("a value")),
        }
    }

    /// An argument of a call, with its name where it has one.
    fn argument(&mut self) -> Result<(Option<String>, Expression), String> {
        let key = match (self.peek(), self.tokens.get(self.at + 1)) {
            (Token::Name(name), Some((_, Token::Symbol("=")))) => Some(name.clone()),
            _ => None,
        };
        self.at += if key.is_some() { 2 } else { 0 };
        Ok((key, self.expression()?))
    }

    fn subscript(&mut self) -> Result<Subscript, String> {
        if self.takes("...") {
            return Ok(Subscript::Ellipsis);
        }
        let is_end = |parser: &Self| matches!(parser.peek(), Token::Symbol("," | "]" | ":"));
        let mut parts = [const { None }; 3];
        let mut colons = 0;
        for (at, part) in parts.iter_mut().enumerate() {
            if !is_end(self) {
                *part = Some(self.expression()?);
            }
            if at == 2 || !self.takes(":") {
                break;
            }
            colons += 1;
        }
        match parts {
            [Some(position), None, None] if colons == 0 => Ok(Subscript::At(position)),
            _ if colons == 0 => Err(self.wrong("an index")),
            parts => Ok(Subscript::Slice(parts)),
        }
    }
}

fn negative(number: &Number) -> Value {
    match number.as_i64().and_then(i64::checked_neg) {
        Some(integer) => integer.into(),
        None => json!(-number.as_f64().unwrap_or(f64::NAN)),
    }
}

/// What an operation makes of two numbers, as Python computes it; nothing where that is no number.
pub(super) fn folded(class: &str, a: &Number, b: &Number) -> Option<Value> {
    if let (Some(a), Some(b)) = (a.as_i64(), b.as_i64()) {
        let floor = |quotient: i64| quotient - i64::from(a % b != 0 && (a < 0) != (b < 0));
        let integer = match class {
            "FloorDivide" => a.checked_div(b).map(floor),
            "Add" => a.checked_add(b),
            "Subtract" => a.checked_sub(b),
            "Multiply" => a.checked_mul(b),
            "Power" => u32::try_from(b).ok().and_then(|b| a.checked_pow(b)),
            _ => None,
        };
        if let Some(integer) = integer {
            return Some(integer.into());
        }
    }
    let (a, b) = (a.as_f64()?, b.as_f64()?);
    let value = match class {
        "Add" => a + b,
        "Subtract" => a - b,
        "Multiply" => a * b,
        "TrueDivide" => a / b,
        "FloorDivide" => (a / b).floor(),
        "Mod" => a - b * (a / b).floor(),
        "Power" => a.powf(b),
        _ => return None,
    };
    Number::from_f64(value).map(Value::Number)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expression with all its brackets.
    fn shown(expression: &Expression) -> String {
        let all = |items: &[Expression]| items.iter().map(shown).collect::<Vec<_>>().join(", ");
        match expression {
            Expression::Constant(value) => value.to_string(),
            Expression::Name(name) => name.clone(),
            Expression::Setting(name) => format!("${name}"),
            Expression::Negative(x) => format!("(-{})", shown(x)),
            Expression::Binary(class, operands) => format!("{class}({})", all(operands.as_slice())),
            Expression::Call(name, args, kwargs) => {
                let named = kwargs.iter().map(|(key, value)| format!("{key}={}", shown(value)));
                let args = args.iter().map(shown).chain(named).collect::<Vec<_>>();
                format!("{name}({})", args.join(", "))
            }
            Expression::Index(x, entries) => {
                let part = |part: &Option<Expression>| part.as_ref().map_or(String::new(), shown);
                let entry = |entry: &Subscript| match entry {
                    Subscript::At(position) => shown(position),
                    Subscript::Slice(parts) => parts.iter().map(part).collect::<Vec<_>>().join(":"),
                    Subscript::Ellipsis => "...".into(),
                };
                format!("{}[{}]", shown(x), entries.iter().map(entry).collect::<Vec<_>>().join(", "))
            }
            Expression::List(items) => format!("[{}]", all(items)),
        }
    }

    #[test]
    fn operators_bind_as_in_python() {
        for (text, expected) in [
            ("x / 127.5 - 1", "Subtract(TrueDivide(x, 127.5), 1)"),
            ("1 - x - y", "Subtract(Subtract(1, x), y)"),
            ("-x ** 2", "(-Power(x, 2))"),
            ("2 ** -x ** 2", "Power(2, (-Power(x, 2)))"),
            ("x ** y ** z", "Power(x, Power(y, z))"),
            ("-2 * x", "Multiply(-2, x)"),
            ("a + b * c @ d", "Add(a, Matmul(Multiply(b, c), d))"),
            ("x + 1 > y * 2", "Greater(Add(x, 1), Multiply(y, 2))"),
            ("x // 2 % 3", "Mod(FloorDivide(x, 2), 3)"),
            ("(x + 1) * 2", "Multiply(Add(x, 1), 2)"),
            ("a[0] + b[1]", "Add(a[0], b[1])"),
        ] {
            assert_eq!(shown(&Function::parse(text).unwrap().result), expected, "{text}");
        }
    }

    #[test]
    fn calls_and_indices_are_read() {
        for (text, expected) in [
            ("tf.nn.l2_normalize(x, axis=-1)", "tf.nn.l2_normalize(x, axis=-1)"),
            ("x[:, -1, ..., ::2]", "x[::, -1, ..., ::2]"),
            ("x[..., None, 1:3]", "x[..., null, 1:3:]"),
            ("x[(1)]", "x[1]"),
            ("(x,)", "[x]"),
            ("()", "[]"),
            ("x, x * 2", "[x, Multiply(x, 2)]"),
            ("f([x, y], (1, 2), 'a')", "f([x, y], [1, 2], \"a\")"),
            ("x * $scale", "Multiply(x, $scale)"),
            ("x * 1_000 + .5 + 1. + 2e-3", "Add(Add(Add(Multiply(x, 1000), 0.5), 1.0), 0.002)"),
            ("relu(x)[0](1)", ""),
        ] {
            let found = Function::parse(text).map(|function| shown(&function.result));
            assert_eq!(found.unwrap_or_default(), expected, "{text}");
        }
    }

    #[test]
    fn a_lambda_names_its_arguments() {
        let function = Function::parse("lambda a, b: a * b").unwrap();
        assert_eq!(function.arguments, Some(vec!["a".into(), "b".into()]));
        assert_eq!(shown(&function.result), "Multiply(a, b)");
    }

    #[test]
    fn what_is_no_expression_is_refused_with_its_place() {
        for (text, expected) in [
            ("", "at character 1: found the end, expected a value"),
            ("x +", "at character 4: found the end, expected a value"),
            ("x y", "at character 3: found `y`, expected an operator or the end"),
            ("x if y else z", "at character 3: found `if`, expected an operator or the end"),
            ("(x", "at character 3: found the end, expected `,` or `)`"),
            ("x[]", "at character 3: found `]`, expected an index"),
            ("x[1:2:3:4]", "at character 8: found `:`, expected `,` or `]`"),
            ("1 < x < 2", "at character 7: found `<`, expected brackets around one of two comparisons"),
            ("x; y", "at character 2: `;` has no meaning"),
            ("'x", "at character 1: a string without its end"),
            ("x.", "at character 3: found the end, expected a name"),
            ("lambda x x", "at character 10: found `x`, expected `,` or `:`"),
            ("$1", "at character 2: found `1`, expected a name"),
        ] {
            assert_eq!(Function::parse(text), Err(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn depth_and_length_are_bounded() {
        let long = format!("x{}", " + x".repeat(MAX_BYTES / 4));
        for text in ["(".repeat(1000), "-".repeat(1000), format!("x{}", " ** x".repeat(300)), long] {
            let error = Function::parse(&text).unwrap_err();
            assert!(error.contains("at most 64") || error.contains("the limit is 2048"), "{error}");
        }
        Function::parse(&format!("x{}", " + x".repeat(500))).unwrap();
    }

    #[test]
    fn numbers_are_folded_as_python_does() {
        // Computed by Python 3.
        for (text, expected) in [
            ("7 // -2", json!(-4)),
            ("-7 % 3", json!(2.0)),
            ("7 / 2", json!(3.5)),
            ("2 ** 10", json!(1024)),
            ("2 ** -1", json!(0.5)),
            ("1 - 3", json!(-2)),
            ("1.5 * 2", json!(3.0)),
            ("1 / 0", Value::Null),
        ] {
            let Expression::Binary(class, operands) = Function::parse(text).unwrap().result else {
                panic!("{text}")
            };
            let [Expression::Constant(Value::Number(a)), Expression::Constant(Value::Number(b))] = &*operands
            else {
                panic!("{text}")
            };
            assert_eq!(folded(class, a, b).unwrap_or_default(), expected, "{text}");
        }
    }
}
