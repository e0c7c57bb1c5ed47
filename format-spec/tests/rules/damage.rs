//! The damages, by rule.

mod edits;

use crate::file::{BIAS, CLIPPED, DENSE, Q, SCALES, SCRATCH, TOTAL, W, X, Y};
use crate::{Case, broken, raw};
use edits::{
    add_like, drafted, far, foreign, golden, longer, meta, name, operand, quant, receipt, section, step,
    tensor, without,
};
use flatpack_format::writer::Memory;
use flatpack_format::{
    CaseRecord, Header, Layout, MetaRecord, NameRecord, Place, ReceiptRecord, Rule, SectionKind,
    SectionRecord, Shape, TensorRecord,
};

use Rule::*;
use SectionKind as S;

pub(crate) const CASES: &[Case] = &[
    raw(V01, "shorter than the header", |f| {
        f.resize(95);
        95
    }),
    raw(V01, "a byte missing", |f| {
        f.resize(f.len - 1);
        f.len as u32
    }),
    raw(V01, "a byte too many", |f| {
        f.resize(f.len + 1);
        f.len as u32
    }),
    broken(V01, "a header that says more", |f| {
        f.header().file_bytes = u32::MAX;
        f.len as u32
    }),
    raw(V02, "an empty file", |f| {
        f.resize(0);
        0
    }),
    raw(V02, "half of the magic bytes", |f| {
        f.resize(4);
        0
    }),
    broken(V02, "line ends translated", |f| {
        f.bytes_mut()[4] = b'\n';
        0
    }),
    broken(V03, "the version after this one", |f| {
        f.header().version = 2;
        8
    }),
    broken(V03, "no version", |f| {
        f.header().version = 0;
        8
    }),
    raw(V04, "another count of operations", |f| {
        f.header().macs += 1;
        20
    }),
    raw(V04, "another section checksum", |f| {
        f.section(S::Weights).crc32 ^= 1;
        20
    }),
    raw(V04, "another header checksum", |f| {
        f.header().header_crc32 ^= 1;
        20
    }),
    broken(V06, "an unknown target", |f| {
        f.header().target = 3;
        24
    }),
    broken(V06, "an unknown alignment", |f| {
        f.header().align = 32;
        28
    }),
    broken(V06, "no alignment", |f| {
        f.header().align = 0;
        28
    }),
    broken(V06, "an unknown feature", |f| {
        f.header().features = 1 << 31;
        64
    }),
    broken(V06, "reserved bytes of the header", |f| {
        f.header().reserved = 1;
        92
    }),
    broken(V07, "a directory longer than the file", |f| {
        f.header().section_count = 1000;
        16
    }),
    broken(V07, "a directory longer than memory", |f| {
        f.header().section_count = u32::MAX;
        16
    }),
    broken(V07, "sections in another order", |f| {
        f.directory().swap(0, 1);
        f.entry_at(S::Tensors)
    }),
    broken(V07, "a section twice", |f| {
        let index = f.index(S::Operands);
        f.directory()[index].kind = S::Steps as u16;
        (size_of::<Header>() + index * size_of::<SectionRecord>()) as u32
    }),
    broken(V07, "section kind 0", |f| {
        f.directory()[0].kind = 0;
        size_of::<Header>() as u32
    }),
    broken(V07, "an unknown critical section", |f| foreign(f, 17, 1)),
    broken(V07, "a critical section called ancillary", |f| section(f, S::Weights, |s| s.critical = 0)),
    broken(V07, "an ancillary section called critical", |f| section(f, S::Names, |s| s.critical = 1)),
    broken(V07, "a section neither critical nor ancillary", |f| section(f, S::Names, |s| s.critical = 2)),
    broken(V07, "an alignment too small", |f| section(f, S::Steps, |s| s.align = 8)),
    broken(V07, "an alignment that is no power of two", |f| section(f, S::Steps, |s| s.align = 48)),
    broken(V07, "an alignment too large", |f| section(f, S::Steps, |s| s.align = 1 << 17)),
    broken(V07, "reserved bytes of a section", |f| section(f, S::Steps, |s| s.reserved = 1)),
    broken(V08, "a hole before a section", |f| section(f, S::Operands, |s| s.offset += 16)),
    broken(V08, "a section that begins in the one before", |f| section(f, S::Operands, |s| s.offset -= 16)),
    broken(V08, "a section at another alignment than it says", |f| {
        section(f, S::Operands, |s| s.align = 4096)
    }),
    broken(V08, "a section that ends in the next", |f| {
        section(f, S::Steps, |s| s.bytes += 16);
        f.entry_at(S::Operands)
    }),
    broken(V08, "a section that ends past the file", |f| section(f, S::Strings, |s| s.bytes += 1)),
    broken(V08, "a section that ends past 4 GiB", |f| section(f, S::Strings, |s| s.bytes = u32::MAX)),
    broken(V08, "a section that begins past 4 GiB", |f| section(f, S::Strings, |s| s.offset = u32::MAX)),
    broken(V08, "a byte in the pad between sections", |f| {
        let end = f.section(S::Inputs).offset + f.section(S::Inputs).bytes;
        assert!(!end.is_multiple_of(16));
        f.bytes_mut()[end as usize] = 1;
        f.entry_at(S::Outputs)
    }),
    broken(V08, "bytes past the last section", |f| {
        f.resize(f.len + 16);
        f.header().file_bytes += 16;
        f.len as u32 - 16
    }),
    broken(V08, "no sections, but bytes", |f| {
        f.header().section_count = 0;
        size_of::<Header>() as u32
    }),
    broken(V09, "part of a tensor", |f| longer(f, S::Tensors, -1)),
    broken(V09, "part of a step", |f| longer(f, S::Steps, 8)),
    broken(V09, "part of an operand", |f| longer(f, S::Operands, -2)),
    broken(V09, "part of an input", |f| longer(f, S::Inputs, 1)),
    broken(V09, "part of an output", |f| longer(f, S::Outputs, -1)),
    broken(V09, "part of a quantisation record", |f| longer(f, S::Quant, -4)),
    broken(V09, "part of a golden", |f| longer(f, S::Goldens, 16)),
    broken(V09, "part of a receipt", |f| longer(f, S::Receipts, -16)),
    broken(V09, "part of a name", |f| longer(f, S::Names, -8)),
    broken(V09, "part of a metadata entry", |f| longer(f, S::Meta, 8)),
    broken(V09, "no tensors", |f| without(f, S::Tensors)),
    broken(V09, "no steps", |f| without(f, S::Steps)),
    broken(V09, "no operands", |f| without(f, S::Operands)),
    broken(V09, "no inputs", |f| without(f, S::Inputs)),
    broken(V09, "no outputs", |f| without(f, S::Outputs)),
    broken(V10, "an unknown element type", |f| tensor(f, X, |t| t.dtype = 7)),
    broken(V10, "an unknown place", |f| tensor(f, X, |t| t.place = 4)),
    broken(V10, "an unknown layout", |f| tensor(f, W, |t| t.layout = 3)),
    broken(V10, "seven dimensions", |f| tensor(f, X, |t| t.rank = 7)),
    broken(V10, "a dimension of 0", |f| {
        tensor(f, X, |t| {
            t.dims[0] = 0;
            t.bytes = 0;
        })
    }),
    broken(V10, "a dimension past the rank", |f| tensor(f, X, |t| t.dims[2] = 1)),
    broken(V10, "another size", |f| tensor(f, X, |t| t.bytes += 4)),
    broken(V10, "another size in panels", |f| tensor(f, W, |t| t.bytes = 60)),
    broken(V10, "panels that are said to be pairs", |f| tensor(f, W, |t| t.layout = Layout::Pairs as u8)),
    broken(V10, "pairs in the arena", |f| {
        tensor(f, X, |t| {
            t.layout = Layout::Pairs as u8;
            t.bytes = 32;
        })
    }),
    broken(V10, "panels in the arena", |f| {
        tensor(f, X, |t| {
            t.layout = Layout::Panel16 as u8;
            t.bytes = 192;
        })
    }),
    broken(V10, "panels of a scalar", |f| {
        tensor(f, W, |t| {
            t.rank = 0;
            t.dims = [0; 6];
            t.bytes = 4;
        })
    }),
    broken(V10, "elements past 4 GiB", |f| {
        tensor(f, X, |t| {
            t.dims = [1 << 16, 1 << 16, 0, 0, 0, 0];
            t.bytes = 0;
        })
    }),
    broken(V10, "bytes past 4 GiB", |f| {
        tensor(f, X, |t| {
            t.dims = [1 << 15, 1 << 15, 0, 0, 0, 0];
            t.bytes = 0;
        })
    }),
    broken(V10, "panels past 4 GiB", |f| {
        tensor(f, W, |t| {
            t.dims = [u32::MAX, 1, 0, 0, 0, 0];
            t.bytes = 0;
        })
    }),
    broken(V10, "pairs past 4 GiB", |f| {
        tensor(f, W, |t| {
            t.layout = Layout::Pairs as u8;
            t.dims = [u32::MAX, 1, 0, 0, 0, 0];
            t.bytes = 0;
        })
    }),
    broken(V10, "an unknown quantisation record", |f| tensor(f, X, |t| t.quant = 2)),
    broken(V11, "a constant before the weights", |f| tensor(f, Q, |t| t.offset -= 16)),
    broken(V11, "a constant past the weights", |f| tensor(f, W, |t| t.offset += 16)),
    broken(V11, "a constant past 4 GiB", |f| tensor(f, W, |t| t.offset = u32::MAX - 15)),
    broken(V11, "a constant off its alignment", |f| tensor(f, Q, |t| t.offset += 1)),
    broken(V11, "an activation past the arena", |f| tensor(f, Y, |t| t.offset = 96)),
    broken(V11, "an activation past 4 GiB", |f| tensor(f, Y, |t| t.offset = u32::MAX - 15)),
    broken(V11, "an activation off its alignment", |f| tensor(f, Y, |t| t.offset = 52)),
    broken(V11, "a state past the state memory", |f| tensor(f, TOTAL, |t| t.offset = 16)),
    broken(V11, "a state off its alignment", |f| tensor(f, TOTAL, |t| t.offset = 4)),
    broken(V11, "an activation past the far arena", |f| {
        far(f);
        tensor(f, Y, |t| t.offset = 16)
    }),
    broken(V11, "an activation past 4 GiB of the far arena", |f| {
        far(f);
        tensor(f, Y, |t| t.offset = u32::MAX - 15)
    }),
    broken(V11, "an activation off the alignment of the far arena", |f| {
        far(f);
        tensor(f, Y, |t| t.offset = 4)
    }),
    broken(V11, "a far arena that is not there", |f| tensor(f, Y, |t| t.place = Place::Far as u8)),
    broken(V11, "an arena smaller than its tensors", |f| {
        f.header().arena_bytes -= 16;
        f.tensor_at(SCRATCH)
    }),
    broken(V12, "constants in another order", |f| {
        let offset = f.section(S::Weights).offset;
        tensor(f, Q, |t| t.offset = offset + 16)
    }),
    broken(V12, "a hole between constants", |f| tensor(f, BIAS, |t| t.offset += 32)),
    broken(V12, "a constant that takes part of the one before", |f| {
        tensor(f, SCALES, |t| {
            t.dims[0] = 4;
            t.bytes = 16;
        })
    }),
    broken(V12, "bytes past the last constant", |f| {
        longer(f, S::Weights, 16);
        f.section(S::Weights).offset + f.section(S::Weights).bytes - 16
    }),
    broken(V13, "operator 0", |f| step(f, 0, |s| s.op = 0)),
    broken(V13, "an unknown operator", |f| step(f, 3, |s| s.op = u16::MAX)),
    broken(V13, "seventeen inputs", |f| step(f, 0, |s| s.input_count = 17)),
    broken(V13, "no output", |f| step(f, 0, |s| s.output_count = 0)),
    broken(V13, "reserved bytes of a step", |f| step(f, 1, |s| s.reserved[1] = 1)),
    broken(V13, "the last reserved bytes of a step", |f| step(f, 1, |s| s.reserved_2 = 1)),
    broken(V13, "parameters of another length", |f| step(f, 1, |s| s.params_bytes = 4)),
    broken(V13, "parameters where there are none", |f| step(f, 2, |s| s.params_bytes = 4)),
    broken(V14, "operands that skip one", |f| step(f, 1, |s| s.first_operand += 1)),
    broken(V14, "operands used twice", |f| step(f, 1, |s| s.first_operand = 0)),
    broken(V14, "operands past 4 GiB", |f| step(f, 0, |s| s.first_operand = u32::MAX)),
    broken(V14, "more operands than there are", |f| step(f, 3, |s| s.input_count = 16)),
    broken(V14, "an operand that does not exist", |f| {
        operand(f, 2, 10);
        f.step_at(0)
    }),
    broken(V14, "operands that no step has", |f| longer(f, S::Operands, 4)),
    broken(V15, "parameters that skip some bytes", |f| step(f, 1, |s| s.params_offset += 4)),
    broken(V15, "parameters used twice", |f| step(f, 1, |s| s.params_offset -= 8)),
    broken(V15, "parameters past 4 GiB", |f| step(f, 0, |s| s.params_offset = u32::MAX)),
    broken(V15, "parameters past their section", |f| {
        longer(f, S::Params, -4);
        f.step_at(3)
    }),
    broken(V15, "parameters of an absent section", |f| {
        let offset = f.section(S::Params).offset;
        without(f, S::Params);
        f.steps().iter_mut().for_each(|step| step.params_offset -= offset);
        f.step_at(0)
    }),
    broken(V15, "parameters that no step has", |f| longer(f, S::Params, 4) + 24),
    broken(V16, "an output that is a constant", |f| {
        operand(f, 3, BIAS);
        f.step_at(0)
    }),
    broken(V16, "an output that overlaps the second input in part", |f| {
        operand(f, 10, CLIPPED);
        operand(f, 11, DENSE);
        f.tensors()[DENSE as usize].offset = 32;
        f.step_at(3)
    }),
    broken(V16, "an output after the first that overlaps an input in part", |f| {
        step(f, 2, |s| {
            s.output_count = 2;
            s.scratch_count = 0;
        });
        f.tensors()[SCRATCH as usize].offset = 32;
        f.step_at(2)
    }),
    broken(V16, "a scratch in the place of an input", |f| {
        operand(f, 8, CLIPPED);
        f.step_at(2)
    }),
    broken(V16, "a scratch in the place of the output", |f| {
        operand(f, 8, Y);
        f.step_at(2)
    }),
    broken(V16, "an output twice", |f| {
        step(f, 2, |s| {
            s.output_count = 2;
            s.scratch_count = 0;
        });
        operand(f, 8, Y);
        f.step_at(2)
    }),
    broken(V16, "outputs that overlap in part", |f| {
        step(f, 2, |s| {
            s.output_count = 2;
            s.scratch_count = 0;
        });
        f.tensors()[SCRATCH as usize].offset = 64;
        f.step_at(2)
    }),
    broken(V16, "outputs that overlap in the far arena", |f| {
        drafted(f, |draft| {
            [Y, SCRATCH].iter().for_each(|&t| draft.tensors[t as usize].memory = Memory::Far(32 * (t - Y)));
        });
        f.tensors()[SCRATCH as usize].offset = 16;
        f.header().far_bytes = 32;
        f.step_at(2)
    }),
    broken(V16, "a state in part over another", |f| {
        drafted(f, |draft| {
            add_like(draft, TOTAL, Memory::State(16, vec![0; 20]));
        });
        operand(f, 11, TOTAL + 1);
        f.step_at(3)
    }),
    broken(V16, "nine writes", |f| {
        drafted(f, |draft| {
            let more = (0..7).map(|i| add_like(draft, SCRATCH, Memory::Arena(96 + 16 * i)));
            let more: Vec<u32> = more.collect();
            draft.steps[2].scratches.extend(&more[..6]);
        });
        // The writer has made a step of eight; the first operand of the next becomes the ninth.
        let ninth = f.steps()[3].first_operand as usize;
        f.steps()[2].scratch_count += 1;
        f.steps()[3].input_count -= 1;
        f.steps()[3].first_operand += 1;
        operand(f, ninth, TOTAL + 7);
        f.step_at(2)
    }),
    broken(V17, "an input that is a constant", |f| {
        f.records::<u32>(S::Inputs)[0] = BIAS;
        f.section(S::Inputs).offset
    }),
    broken(V17, "an output that is a state", |f| {
        f.records::<u32>(S::Outputs)[0] = TOTAL;
        f.section(S::Outputs).offset
    }),
    broken(V17, "an input that does not exist", |f| {
        f.records::<u32>(S::Inputs)[0] = 10;
        f.section(S::Inputs).offset
    }),
    broken(V17, "an output that does not exist", |f| {
        f.records::<u32>(S::Outputs)[0] = u32::MAX;
        f.section(S::Outputs).offset
    }),
    broken(V17, "an input twice", |f| longer(f, S::Inputs, 4)),
    broken(V17, "inputs that share memory", |f| {
        f.edit(S::Inputs, |bytes| *bytes = bytemuck::cast_slice(&[X, DENSE, CLIPPED]).to_vec());
        f.at::<u32>(S::Inputs, 1)
    }),
    broken(V17, "inputs that share memory of the far arena", |f| {
        drafted(f, |draft| {
            [X, DENSE, CLIPPED].iter().for_each(|&t| draft.tensors[t as usize].memory = Memory::Far(0));
            draft.steps[0].inputs[0] = Y;
        });
        f.edit(S::Inputs, |bytes| *bytes = bytemuck::cast_slice(&[X, DENSE]).to_vec());
        f.section(S::Inputs).offset
    }),
    broken(V17, "sixty-five inputs", |f| {
        drafted(f, |draft| {
            draft.cases.clear();
            draft.inputs = (0..64).map(|i| add_like(draft, X, Memory::Arena(96 + 16 * i))).collect();
        });
        f.edit(S::Inputs, |bytes| bytes.extend_from_slice(bytemuck::bytes_of(&X)));
        f.at::<u32>(S::Inputs, 64)
    }),
    broken(V18, "an operator not listed", |f| {
        f.header().required_ops[0] &= !(1 << 6);
        32
    }),
    broken(V18, "an operator listed that no step has", |f| {
        f.header().required_ops[7] = 1 << 31;
        32
    }),
    broken(V18, "an arena larger than its tensors", |f| {
        f.header().arena_bytes += 16;
        68
    }),
    broken(V18, "an arena that no field can tell", |f| {
        f.tensors()[SCRATCH as usize].offset = u32::MAX - 15;
        f.header().arena_bytes = u32::MAX;
        68
    }),
    broken(V18, "a state memory larger than its tensors", |f| {
        f.header().state_bytes += 16;
        72
    }),
    broken(V18, "arena and state of 4 GiB together", |f| {
        f.tensors()[SCRATCH as usize].offset = u32::MAX - 31;
        f.header().arena_bytes = u32::MAX - 15;
        72
    }),
    broken(V18, "a far arena larger than its tensors", |f| {
        far(f);
        f.header().far_bytes += 16;
        88
    }),
    broken(V18, "a far arena without tensors", |f| {
        f.header().far_bytes = 16;
        88
    }),
    broken(V18, "arena and far arena of 4 GiB together", |f| {
        far(f);
        f.tensors()[Y as usize].offset = u32::MAX - 95;
        f.header().far_bytes = u32::MAX - 63;
        72
    }),
    broken(V18, "another scratch", |f| {
        f.header().scratch_bytes += 1;
        76
    }),
    broken(V19, "a scale of 0", |f| quant(f, |q| q.scale = 0.0)),
    broken(V19, "a negative scale", |f| quant(f, |q| q.scale = -1.0)),
    broken(V19, "a scale that is no number", |f| quant(f, |q| q.scale = f32::NAN)),
    broken(V19, "an infinite scale", |f| quant(f, |q| q.scale = f32::INFINITY)),
    broken(V19, "scales that do not exist", |f| quant(f, |q| q.scales = 10)),
    broken(V19, "scales that are no constant", |f| quant(f, |q| q.scales = DENSE)),
    broken(V19, "scales that are no floats", |f| quant(f, |q| q.scales = Q)),
    broken(V19, "an axis without scales", |f| quant(f, |q| q.scales = u32::MAX)),
    broken(V19, "scales without an axis", |f| quant(f, |q| q.axis = u32::MAX)),
    broken(V19, "an axis that the tensor does not have", |f| {
        quant(f, |q| q.axis = 2);
        f.tensor_at(Q)
    }),
    broken(V19, "an axis of another length than the scales", |f| {
        quant(f, |q| q.axis = 1);
        f.tensor_at(Q)
    }),
    broken(V19, "scales of more than one dimension", |f| {
        drafted(f, |draft| {
            draft.tensors[W as usize].layout = Layout::Rows;
            draft.tensors[W as usize].memory = Memory::Constant(vec![1; 60]);
        });
        quant(f, |q| q.scales = W);
        f.tensor_at(Q)
    }),
    broken(V19, "scales in panels", |f| {
        drafted(f, |draft| {
            draft.tensors[W as usize].tensor_type.shape = Shape::new(&[5]).unwrap();
            draft.tensors[W as usize].memory = Memory::Constant(vec![1; 64]);
        });
        quant(f, |q| q.scales = W)
    }),
    broken(V20, "an initial state too short", |f| longer(f, S::StateInit, -1)),
    broken(V20, "an initial state too long", |f| longer(f, S::StateInit, 16)),
    broken(V20, "no initial state", |f| without(f, S::StateInit)),
    broken(V21, "data elsewhere", |f| golden(f, 0, |c| c.data_offset += 16)),
    broken(V21, "data used twice", |f| golden(f, 1, |c| c.data_offset -= c.data_bytes)),
    broken(V21, "data of another length", |f| golden(f, 0, |c| c.data_bytes += 16)),
    broken(V21, "a negative tolerance", |f| golden(f, 0, |c| c.abs_tolerance = -1.0)),
    broken(V21, "a tolerance that is no number", |f| golden(f, 0, |c| c.rel_tolerance = f32::NAN)),
    broken(V21, "an infinite tolerance", |f| golden(f, 1, |c| c.receipt_abs_tolerance = f32::INFINITY)),
    broken(V21, "a negative tolerance of receipts", |f| golden(f, 1, |c| c.receipt_rel_tolerance = -0.1)),
    broken(V21, "reserved bytes of a golden", |f| golden(f, 0, |c| c.reserved = 1)),
    broken(V21, "more receipts than there are", |f| golden(f, 1, |c| c.receipt_count = 2)),
    broken(V21, "receipts past 4 GiB", |f| golden(f, 1, |c| c.receipt_count = u32::MAX)),
    broken(V21, "receipts that no golden has", |f| {
        golden(f, 1, |c| c.receipt_count = 0);
        f.section(S::Goldens).offset
    }),
    broken(V21, "data that no golden has", |f| {
        longer(f, S::GoldenData, 16);
        f.section(S::Goldens).offset
    }),
    broken(V21, "data past their section", |f| {
        longer(f, S::GoldenData, -16);
        f.at::<CaseRecord>(S::Goldens, 1)
    }),
    broken(V21, "receipts without goldens", |f| {
        without(f, S::Goldens);
        without(f, S::GoldenData)
    }),
    broken(V22, "a step that does not exist", |f| receipt(f, 1, |r| r.step = 4)),
    broken(V22, "a step past all", |f| receipt(f, 2, |r| r.step = u32::MAX)),
    broken(V22, "a step twice", |f| receipt(f, 1, |r| r.step = 0)),
    broken(V22, "steps in another order", |f| {
        f.records::<ReceiptRecord>(S::Receipts).swap(0, 1);
        f.at::<ReceiptRecord>(S::Receipts, 1)
    }),
    broken(V22, "neither exact nor not", |f| receipt(f, 1, |r| r.exact = 2)),
    broken(V22, "an element that does not exist", |f| receipt(f, 2, |r| r.probe_index[3] = 5)),
    broken(V23, "the name of neither tensor nor step", |f| name(f, 0, |n| n.kind = 2)),
    broken(V23, "the name of a tensor that does not exist", |f| name(f, 8, |n| n.index = 10)),
    broken(V23, "the name of a step that does not exist", |f| name(f, 12, |n| n.index = 4)),
    broken(V23, "two names of a step", |f| name(f, 12, |n| n.index = 2)),
    broken(V23, "names in another order", |f| {
        f.records::<NameRecord>(S::Names).swap(0, 1);
        f.at::<NameRecord>(S::Names, 0)
    }),
    broken(V23, "steps before tensors", |f| name(f, 0, |n| n.kind = 1) + size_of::<NameRecord>() as u32),
    broken(V23, "a name that is no text", |f| {
        let start = f.section(S::Strings).offset as usize;
        f.bytes_mut()[start] = 0xff;
        f.at::<NameRecord>(S::Names, 0)
    }),
    broken(V23, "a name past the strings", |f| name(f, 12, |n| n.name.bytes = 1 << 16)),
    broken(V23, "a name past 4 GiB", |f| name(f, 12, |n| n.name.bytes = u32::MAX)),
    broken(V23, "two names that share text", |f| name(f, 1, |n| n.name.offset = 0)),
    broken(V23, "text between names", |f| name(f, 1, |n| n.name.offset += 1)),
    broken(V24, "a key that is no text", |f| {
        let start = f.section(S::Strings).offset;
        let key = f.records::<MetaRecord>(S::Meta)[0].key;
        f.bytes_mut()[(start + key.offset) as usize] = 0xff;
        f.at::<MetaRecord>(S::Meta, 0)
    }),
    broken(V24, "a value cut within a letter", |f| {
        let value = f.records::<MetaRecord>(S::Meta)[0].value;
        assert_eq!(value.bytes, 9);
        // The ü of grün.
        meta(f, 0, |m| m.value.bytes = 3)
    }),
    broken(V24, "keys that descend", |f| {
        let start = f.section(S::Strings).offset;
        let key = f.records::<MetaRecord>(S::Meta)[1].key;
        f.bytes_mut()[(start + key.offset) as usize] = b'a';
        f.at::<MetaRecord>(S::Meta, 1)
    }),
    broken(V24, "a key twice", |f| {
        drafted(f, |draft| draft.meta = ["a", "b"].map(|key| (key.into(), "1".into())).into());
        let start = f.section(S::Strings).offset;
        let key = f.records::<MetaRecord>(S::Meta)[1].key;
        f.bytes_mut()[(start + key.offset) as usize] = b'a';
        f.at::<MetaRecord>(S::Meta, 1)
    }),
    broken(V24, "a value past the strings", |f| meta(f, 1, |m| m.value.bytes += 1)),
    broken(V24, "a value past 4 GiB", |f| meta(f, 1, |m| m.value.bytes = u32::MAX)),
    broken(V24, "a key that shares text with a name", |f| meta(f, 0, |m| m.key.offset = 0)),
    broken(V24, "text that nothing points to", |f| {
        f.edit(S::Strings, |bytes| bytes.push(b'!'));
        f.section(S::Strings).offset + f.section(S::Strings).bytes - 1
    }),
    broken(V24, "text without names and metadata", |f| {
        without(f, S::Names);
        without(f, S::Meta);
        f.section(S::Strings).offset
    }),
    raw(V25, "a weight", |f| {
        let offset = f.section(S::Weights).offset;
        f.bytes_mut()[offset as usize] ^= 1;
        offset
    }),
    raw(V25, "a golden value", |f| {
        let offset = f.section(S::GoldenData).offset;
        f.bytes_mut()[offset as usize + 16] ^= 1;
        offset
    }),
    broken(V25, "a byte in the pad after a constant", |f| {
        let TensorRecord { offset, bytes, .. } = f.tensors()[Q as usize];
        assert!(!bytes.is_multiple_of(16));
        f.bytes_mut()[(offset + bytes) as usize] = 1;
        f.repair_sections();
        offset + bytes
    }),
    broken(V25, "an absent output in a panel", |f| {
        let w = f.tensors()[W as usize].offset;
        // Row 1 of 3, output 5 of 5.
        f.bytes_mut()[w as usize + 64 + 5 * 4] = 1;
        f.repair_sections();
        w + 64 + 5 * 4
    }),
    broken(V25, "a byte in the pad after a golden input", |f| {
        let CaseRecord { data_offset, .. } = f.records::<CaseRecord>(S::Goldens)[1];
        f.bytes_mut()[data_offset as usize + 12] = 1;
        f.repair_sections();
        data_offset + 12
    }),
    broken(V25, "a byte in the pad after a golden output", |f| {
        let CaseRecord { data_offset, data_bytes, .. } = f.records::<CaseRecord>(S::Goldens)[0];
        f.bytes_mut()[(data_offset + data_bytes) as usize - 1] = 1;
        f.repair_sections();
        data_offset + 16 + 20
    }),
];
