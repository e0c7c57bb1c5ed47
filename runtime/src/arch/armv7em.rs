//! Cortex-M4 and M7: the DSP instructions, which multiply two pairs of 16-bit integers at once.
//!
//! Activations are widened to 16 bits once for all outputs of a pair of pixels, in the order in which
//! `sxtb16` widens four weights: elements 0 and 2, then 1 and 3. Four elements of two pixels and two
//! outputs then take 15 instructions for 16 products.
//!
//! The loops over outputs are written in assembly whole, with what becomes of the sums: of a tile at a
//! time, half of the instructions would move values to and from memory.

use super::{Arch, LANES, OutputsI8, Patch, Quad, RowsI8, Scratch};
use crate::fixed;
use core::arch::{asm, naked_asm};
use core::mem::MaybeUninit;
use core::slice;
use flatpack_format::ops::{Multiplier, OutputI8};

/// The loops of this instruction set.
#[derive(Clone, Copy, Debug)]
pub struct Armv7em;

/// Four kilobytes: patches of up to 1024 elements, of two pixels.
#[derive(Debug)]
pub struct Memory([MaybeUninit<Quad>; 512]);

impl Scratch for Memory {
    #[inline(always)]
    fn new() -> Self {
        Self([const { MaybeUninit::uninit() }; 512])
    }

    #[inline(always)]
    fn quads(&mut self, len: usize) -> &[Quad] {
        let quads = self.0.get_mut(..len).unwrap_or_default();
        quads.iter_mut().for_each(|quad| *quad = MaybeUninit::new(Quad::zero()));
        // SAFETY: all of them were just written.
        unsafe { slice::from_raw_parts(quads.as_ptr().cast(), quads.len()) }
    }

    #[inline(always)]
    fn words(&mut self, len: usize) -> &mut [i32] {
        let quads = self.0.get_mut(..len.div_ceil(2)).unwrap_or_default();
        quads.iter_mut().for_each(|quad| *quad = MaybeUninit::new(Quad::zero()));
        let words = quads.len().saturating_mul(2).min(len);
        // SAFETY: the quads were just written, nobody else has them, and each is two words, of any bits, at
        // the alignment of words.
        unsafe { slice::from_raw_parts_mut(quads.as_mut_ptr().cast(), words) }
    }
}

impl Arch for Armv7em {
    type Scratch = Memory;

    #[inline(always)]
    fn requantize_i8(sum: i32, by: Multiplier, plain: bool, y: &OutputI8) -> i8 {
        if !plain {
            return fixed::requantize(sum, by, y);
        }
        let product = smmulr(qadd(sum, sum), by.mantissa);
        let nudged = product.wrapping_add(product >> 31) >> (!by.shift & 31);
        let v = ssat8_asr1(nudged.wrapping_add(y.zero_point.wrapping_mul(2).wrapping_add(1)));
        fixed::bound(v, y)
    }

    #[inline(never)]
    fn sum_tile_i8(patch: &Patch<'_, 1, i8>, sums: &mut [i32; LANES]) -> Option<()> {
        let [x] = patch.x;
        for (half, sums) in sums.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let [mut even, mut odd] = [0u32; 2];
            let mut taps = 0;
            let mut add = |[even, odd]: [u32; 2]| {
                let lanes = [even as i16, odd as i16, (even >> 16) as i16, (odd >> 16) as i16];
                sums.iter_mut().zip(lanes).for_each(|(sum, v)| *sum = sum.wrapping_add(v.into()));
            };
            patch.try_each_tap(|x_at, _| {
                let x: &[i8; 4] = x.get(x_at..)?.get(4 * half..)?.first_chunk()?;
                let x = u32::from_le_bytes(x.map(|x| x as u8));
                (even, odd) = (sxtab16(even, x), sxtab16_ror8(odd, x));
                taps += 1;
                if taps == 255 {
                    // One more might leave 16 bits.
                    add([even, odd]);
                    [even, odd] = [0; 2];
                    taps = 0;
                }
                Some(())
            })?;
            add([even, odd]);
        }
        Some(())
    }

    fn gemm_i8<const P: usize>(
        patch: &Patch<'_, P, i8>,
        whole: bool,
        rows: &RowsI8<'_>,
        y: &mut [&mut [i8]; P],
    ) -> Option<usize> {
        let &RowsI8 { w, depth, zero, ref outputs, quads } = rows;
        let groups = depth.div_ceil(4);
        let x = quads.get(..groups.checked_mul(P)?)?;
        let len = y.iter().map(|y| y.len()).min()?;
        // A group past the end of a row takes weights of the next one, with activations that are zero.
        let rows = if depth % 4 == 0 { len } else { len.checked_sub(1)? };
        let tile = if P == 2 { 2 } else { 4 };
        let tiles = rows / tile;
        if groups == 0 || len < tile || !outputs.plain {
            return None;
        }
        widen(patch, depth, zero, whole, x)?;
        let of_all;
        let (requant, requant_step) = match outputs.requant {
            [one] => {
                of_all = [*one; 4];
                (of_all.as_slice(), 0)
            }
            all => (all, tile * size_of::<Multiplier>()),
        };
        // The last tile of short rows is copied to where there is something after its end.
        let copied = usize::from(depth % 4 != 0 && depth <= SHORT && len == tiles * tile + tile);
        let done = (tiles + copied) * tile;
        let (whole_rows, last) = w.split_at_checked(tiles * tile * depth)?;
        if tiles > 0 {
            w.get(..(tiles * tile - 1) * depth + 4 * groups)?;
        }
        outputs.bias.get(..done)?;
        requant.get(..if requant_step == 0 { tile } else { done })?;
        let mut all = y.iter_mut();
        let y0 = all.next()?.get_mut(..done)?.as_mut_ptr();
        let y1 = match all.next() {
            Some(y) => y.get_mut(..done)?.as_mut_ptr(),
            None => y0,
        };
        let mut task = Gemm {
            x: x.as_ptr(),
            w: whole_rows.as_ptr(),
            depth,
            groups,
            bias: outputs.bias.as_ptr(),
            requant: requant.as_ptr(),
            requant_step,
            y0,
            y1,
            tiles,
            ends: Ends::of(outputs),
        };
        let run = match P {
            2 => two_pixels,
            1 => one_pixel,
            _ => return None,
        };
        if tiles > 0 {
            // SAFETY: x has the groups of P pixels; `w`, `bias` and `requant` were seen to have what these
            // tiles take, and y has room for them.
            unsafe { run(&mut task) };
        }
        if copied == 1 {
            last_tile(&mut task, run, last.get(..tile * depth)?);
        }
        Some(done)
    }

    fn depthwise_i8<const P: usize>(
        patch: &Patch<'_, P, i8>,
        offset: i16,
        w: &[i8],
        outputs: &OutputsI8<'_>,
        y: &mut [&mut [i8]; P],
    ) -> Option<usize> {
        let [1, rows, columns] = patch.counts else { return None };
        let [[_, x_row, x_tap], [_, w_row, w_tap]] = [patch.x_steps, steps(patch.w_steps)?];
        let tiles = y.iter().map(|y| y.len()).min()? / 4;
        if rows == 0 || columns == 0 || tiles == 0 || !outputs.plain {
            return None;
        }
        let done = 4 * tiles;
        let past = |row: usize, tap: usize| {
            row.checked_mul(rows - 1)?.checked_add(tap.checked_mul(columns - 1)?)?.checked_add(done)
        };
        let w = w.get(patch.w_at..)?;
        w.get(..past(w_row, w_tap)?)?;
        outputs.bias.get(..done)?;
        let of_all;
        let (requant, requant_step) = match outputs.requant {
            [one] => {
                of_all = [*one; 4];
                (of_all.as_slice(), 0)
            }
            all => (all.get(..done)?, 4 * size_of::<Multiplier>()),
        };
        for (x, y) in patch.x.iter().zip(y) {
            x.get(..past(x_row, x_tap)?)?;
            let mut task = Depthwise {
                x_tap,
                w_tap,
                columns,
                x_row: x_row.wrapping_sub(x_tap.wrapping_mul(columns)),
                w_row: w_row.wrapping_sub(w_tap.wrapping_mul(columns)),
                rows,
                x: x.as_ptr(),
                w: w.as_ptr(),
                bias: outputs.bias.as_ptr(),
                requant: requant.as_ptr(),
                requant_step,
                y: y.get_mut(..done)?.as_mut_ptr(),
                tiles,
                ends: Ends::of(outputs),
                offset: u32::from(offset as u16).wrapping_mul(0x1_0001),
            };
            // SAFETY: x, w, `bias` and `requant` were seen to have what `done` channels of every tap take,
            // and y has room for them.
            unsafe { depthwise(&mut task) };
        }
        Some(done)
    }
}

/// Runs the last tile of short rows.
#[inline(never)]
fn last_tile(task: &mut Gemm, run: unsafe extern "C" fn(&mut Gemm), w: &[i8]) {
    let mut rows = [0; 4 * SHORT + 4];
    rows.iter_mut().zip(w).for_each(|(to, w)| *to = *w);
    (task.w, task.tiles) = (rows.as_ptr(), 1);
    // SAFETY: as for the tiles before, which were seen to have room for one more; `rows` has the rows of a
    // tile, of at most `SHORT` elements, and three elements more.
    unsafe { run(task) };
}

fn steps(steps: [isize; 3]) -> Option<[usize; 3]> {
    let [a, b, c] = steps;
    Some([a.try_into().ok()?, b.try_into().ok()?, c.try_into().ok()?])
}

/// The patch of `P` pixels with 16 bits an element, in the order of the weights: quads of the pixels in
/// turns. Taps that are not seen have `zero`; past `depth` are zeros.
fn widen<const P: usize>(
    patch: &Patch<'_, P, i8>,
    depth: usize,
    zero: i8,
    whole: bool,
    to: &[Quad],
) -> Option<()> {
    if !whole {
        to.iter().for_each(|quad| quad.set([zero.into(); 4]));
    }
    if !depth.is_multiple_of(4) {
        for quad in to.get(depth / 4 * P..)? {
            (depth % 4..4).for_each(|element| quad.set_one(element, 0));
        }
    }
    if depth <= SHORT && !(patch.w_at.is_multiple_of(4) && patch.len.is_multiple_of(4)) {
        return widen_short(patch, depth, zero, to);
    }
    patch.try_each_tap(|x_at, w_at| {
        let mut x = patch.x;
        for x in &mut x {
            *x = x.get(x_at..)?.get(..patch.len)?;
        }
        if w_at.is_multiple_of(4) && patch.len.is_multiple_of(4) {
            return widen_groups(x, to.get(w_at / 4 * P..)?);
        }
        for (p, x) in x.iter().enumerate() {
            for (x, at) in x.iter().zip(w_at..) {
                to.get(at / 4 * P + p)?.set_one(at % 4, (*x).into());
            }
        }
        Some(())
    })
}

/// Rows up to this length are put together before they are widened, where taps are not of whole groups.
const SHORT: usize = 64;

fn widen_short<const P: usize>(patch: &Patch<'_, P, i8>, depth: usize, zero: i8, to: &[Quad]) -> Option<()> {
    let mut rows = [[0; SHORT]; P];
    rows.iter_mut().for_each(|row| row.iter_mut().take(depth).for_each(|x| *x = zero));
    patch.try_each_tap(|x_at, w_at| {
        for (row, x) in rows.iter_mut().zip(&patch.x) {
            let to = row.get_mut(w_at..)?.get_mut(..patch.len)?;
            to.iter_mut().zip(x.get(x_at..)?.get(..patch.len)?).for_each(|(to, x)| *to = *x);
        }
        Some(())
    })?;
    let len = depth.div_ceil(4).checked_mul(4)?;
    let mut x: [&[i8]; P] = [&[]; P];
    for (x, row) in x.iter_mut().zip(&rows) {
        *x = row.get(..len)?;
    }
    widen_groups(x, to)
}

/// Widens the elements of `P` pixels, which are as many, and groups.
fn widen_groups<const P: usize>(x: [&[i8]; P], to: &[Quad]) -> Option<()> {
    let groups = x.first()?.len() / 4;
    let to = to.get(..groups.checked_mul(P)?)?.as_ptr();
    match *x.as_slice() {
        _ if groups == 0 => {}
        // SAFETY: both pixels have `groups` times four bytes, and there is room for twice as many quads.
        [x0, x1] if x1.len() >= 4 * groups => unsafe { widen_two(x0.as_ptr(), x1.as_ptr(), to, groups) },
        // SAFETY: likewise, of one pixel.
        [x0] => unsafe { widen_one(x0.as_ptr(), to, groups) },
        _ => return None,
    }
    Some(())
}

/// Widens the elements of two pixels.
///
/// # Safety
/// x0 and x1 point to `4 · groups` bytes, `to` to `2 · groups` quads; groups is not 0.
#[unsafe(naked)]
unsafe extern "C" fn widen_two(x0: *const i8, x1: *const i8, to: *const Quad, groups: usize) {
    naked_asm!(
        "push {{r4-r7, lr}}",
        "2:",
        "ldr r5, [r0], #4",
        "ldr r7, [r1], #4",
        "sxtb16 r4, r5",
        "sxtb16 r5, r5, ror #8",
        "sxtb16 r6, r7",
        "sxtb16 r7, r7, ror #8",
        "stm r2!, {{r4-r7}}",
        "subs r3, r3, #1",
        "bne 2b",
        "pop {{r4-r7, pc}}",
    )
}

/// Widens the elements of a pixel.
///
/// # Safety
/// x points to `4 · groups` bytes, `to` to `groups` quads; groups is not 0.
#[unsafe(naked)]
unsafe extern "C" fn widen_one(x: *const i8, to: *const Quad, groups: usize) {
    naked_asm!(
        "2:",
        "ldr r12, [r0], #4",
        "sxtb16 r3, r12",
        "sxtb16 r12, r12, ror #8",
        "stm r1!, {{r3, r12}}",
        "subs r2, r2, #1",
        "bne 2b",
        "bx lr",
    )
}

macro_rules! instruction {
    ($(#[$doc:meta])* $name:ident($($input:ident: $type:ty),*) -> $out:ty, $text:literal) => {
        $(#[$doc])*
        #[inline(always)]
        fn $name($($input: $type),*) -> $out {
            let out;
            // SAFETY: one instruction that reads and writes these registers only, which each core of
            // this architecture has.
            unsafe {
                asm!($text, out = lateout(reg) out, $($input = in(reg) $input,)* options(pure, nomem, nostack))
            }
            out
        }
    };
}

instruction!(
    /// Bytes 0 and 2 as 16-bit integers, added to those of `a`.
    sxtab16(a: u32, x: u32) -> u32, "sxtab16 {out}, {a}, {x}");
instruction!(
    /// Bytes 1 and 3 as 16-bit integers, added to those of `a`.
    sxtab16_ror8(a: u32, x: u32) -> u32, "sxtab16 {out}, {a}, {x}, ror #8");
instruction!(
    /// `⌊(a · b + 2³¹) / 2³²⌋`.
    smmulr(a: i32, b: i32) -> i32, "smmulr {out}, {a}, {b}");
instruction!(
    /// The nearest integer of 32 bits to `a + b`.
    qadd(a: i32, b: i32) -> i32, "qadd {out}, {a}, {b}");
instruction!(
    /// The nearest integer of 8 bits to `⌊x / 2⌋`.
    ssat8_asr1(x: i32) -> i32, "ssat {out}, #8, {x}, asr #1");

/// What becomes of sums.
#[repr(C)]
struct Ends {
    /// Twice the zero point and 1: half of the last step of the shift is added one bit above it.
    moved: i32,
    min: i32,
    max: i32,
}

impl Ends {
    fn of(outputs: &OutputsI8<'_>) -> Self {
        let y = &outputs.y;
        Self { moved: y.zero_point.wrapping_mul(2).wrapping_add(1), min: y.min, max: y.max }
    }
}

/// The state of a loop over tiles of outputs.
#[repr(C)]
struct Gemm {
    x: *const Quad,
    w: *const i8,
    depth: usize,
    groups: usize,
    bias: *const i32,
    requant: *const Multiplier,
    /// Bytes from the multipliers of a tile to those of the next one.
    requant_step: usize,
    y0: *mut i8,
    y1: *mut i8,
    tiles: usize,
    ends: Ends,
}

/// The state of a loop over tiles of channels. Steps go from a tap to the next, and from the last one of a
/// row to the first of the next row.
#[repr(C)]
struct Depthwise {
    x_tap: usize,
    w_tap: usize,
    columns: usize,
    x_row: usize,
    w_row: usize,
    rows: usize,
    x: *const i8,
    w: *const i8,
    bias: *const i32,
    requant: *const Multiplier,
    requant_step: usize,
    y: *mut i8,
    tiles: usize,
    ends: Ends,
    offset: u32,
}

/// A sum in `$v` by mantissa `$m` and the complement of the shift `$e`, moved by `$moved`. A sum past 2³⁰
/// becomes the nearest such: what the shift, at most 20 places, leaves is past all bounds, as it should be.
macro_rules! requantize {
    ($v:literal, $m:literal, $e:literal, $moved:literal) => {
        concat!(
            "qadd ",
            $v,
            ", ",
            $v,
            ", ",
            $v,
            "\n",
            "smmulr ",
            $v,
            ", ",
            $v,
            ", ",
            $m,
            "\n",
            "add ",
            $v,
            ", ",
            $v,
            ", ",
            $v,
            ", asr #31\n",
            "asr ",
            $v,
            ", ",
            $v,
            ", ",
            $e,
            "\n",
            "add ",
            $v,
            ", ",
            $v,
            ", ",
            $moved,
            "\n",
            "ssat ",
            $v,
            ", #8, ",
            $v,
            ", asr #1\n",
        )
    };
}

/// `$v` within `$min` and `$max`.
macro_rules! bound {
    ($v:literal, $min:literal, $max:literal) => {
        concat!(
            "cmp ", $v, ", ", $min, "\n", "it lt\n", "movlt ", $v, ", ", $min, "\n", "cmp ", $v, ", ", $max,
            "\n", "it gt\n", "movgt ", $v, ", ", $max, "\n",
        )
    };
}

/// Four elements of two pixels and two outputs.
macro_rules! group_of_two {
    () => {
        "ldm r0!, {{r8-r11}}
        ldr r12, [r1], #4
        sxtb16 lr, r12
        smlad r4, r8, lr, r4
        smlad r6, r10, lr, r6
        sxtb16 r12, r12, ror #8
        smlad r4, r9, r12, r4
        smlad r6, r11, r12, r6
        ldr r12, [r2], #4
        sxtb16 lr, r12
        smlad r5, r8, lr, r5
        smlad r7, r10, lr, r7
        sxtb16 r12, r12, ror #8
        smlad r5, r9, r12, r5
        smlad r7, r11, r12, r7
        "
    };
}

/// Tiles of two pixels and two outputs.
///
/// # Safety
/// x points to the quads of all groups of both pixels, w to the rows of all tiles, the last one filled up to
/// whole groups, `bias` and `requant` to those of all tiles, y0 and y1 to room for them. No count is 0.
#[unsafe(naked)]
unsafe extern "C" fn two_pixels(task: &mut Gemm) {
    naked_asm!(
        "push {{r0, r4-r11, lr}}",
        "2:",
        "ldr r12, [r0, #16]",
        "ldrd r4, r5, [r12], #8",
        "str r12, [r0, #16]",
        "mov r6, r4",
        "mov r7, r5",
        "ldrd r1, r2, [r0, #4]",
        "ldr r3, [r0, #12]",
        "add r12, r1, r2, lsl #1",
        "str r12, [r0, #4]",
        "add r2, r1, r2",
        "ldr r0, [r0]",
        "subs r3, r3, #4",
        "blt 4f",
        "3:",
        group_of_two!(),
        group_of_two!(),
        group_of_two!(),
        group_of_two!(),
        "subs r3, r3, #4",
        "bge 3b",
        "4:",
        "adds r3, r3, #4",
        "beq 5f",
        "7:",
        group_of_two!(),
        "subs r3, r3, #1",
        "bne 7b",
        "5:",
        "ldr r0, [sp]",
        "ldrd r12, lr, [r0, #20]",
        "ldm r12, {{r8-r11}}",
        "add r12, r12, lr",
        "str r12, [r0, #20]",
        "mvn r9, r9",
        "mvn r11, r11",
        "ldr r12, [r0, #40]",
        requantize!("r4", "r8", "r9", "r12"),
        requantize!("r5", "r10", "r11", "r12"),
        requantize!("r6", "r8", "r9", "r12"),
        requantize!("r7", "r10", "r11", "r12"),
        "ldrd r8, r9, [r0, #44]",
        "sub r10, r9, r8",
        "cmp r10, #255",
        "beq 6f",
        bound!("r4", "r8", "r9"),
        bound!("r5", "r8", "r9"),
        bound!("r6", "r8", "r9"),
        bound!("r7", "r8", "r9"),
        "6:",
        "ldrd r10, r11, [r0, #28]",
        "strb r4, [r10], #1",
        "strb r5, [r10], #1",
        "strb r6, [r11], #1",
        "strb r7, [r11], #1",
        "strd r10, r11, [r0, #28]",
        "ldr r1, [r0, #36]",
        "subs r1, r1, #1",
        "str r1, [r0, #36]",
        "bne 2b",
        "pop {{r0, r4-r11, pc}}",
    )
}

/// Four elements of one pixel and an output.
macro_rules! group_of_one {
    ($row:literal, $sum:literal) => {
        concat!(
            "ldr r12, [",
            $row,
            "], #4\n",
            "sxtb16 r3, r12\n",
            "smlad ",
            $sum,
            ", r10, r3, ",
            $sum,
            "\n",
            "sxtb16 r12, r12, ror #8\n",
            "smlad ",
            $sum,
            ", r11, r12, ",
            $sum,
            "\n",
        )
    };
}

/// Tiles of one pixel and four outputs.
///
/// # Safety
/// As [`two_pixels`], with the quads of one pixel, and y0 alone.
#[unsafe(naked)]
unsafe extern "C" fn one_pixel(task: &mut Gemm) {
    naked_asm!(
        "push {{r0, r4-r11, lr}}",
        "2:",
        "ldr r12, [r0, #16]",
        "ldm r12!, {{r4-r7}}",
        "str r12, [r0, #16]",
        "ldrd r1, r3, [r0, #4]",
        "ldr lr, [r0, #12]",
        "add r2, r1, r3",
        "add r8, r2, r3",
        "add r9, r8, r3",
        "add r12, r9, r3",
        "str r12, [r0, #4]",
        "ldr r0, [r0]",
        "subs lr, lr, #2",
        "blt 4f",
        "3:",
        "ldm r0!, {{r10, r11}}",
        group_of_one!("r1", "r4"),
        group_of_one!("r2", "r5"),
        group_of_one!("r8", "r6"),
        group_of_one!("r9", "r7"),
        "ldm r0!, {{r10, r11}}",
        group_of_one!("r1", "r4"),
        group_of_one!("r2", "r5"),
        group_of_one!("r8", "r6"),
        group_of_one!("r9", "r7"),
        "subs lr, lr, #2",
        "bge 3b",
        "4:",
        "adds lr, lr, #2",
        "beq 5f",
        "ldm r0!, {{r10, r11}}",
        group_of_one!("r1", "r4"),
        group_of_one!("r2", "r5"),
        group_of_one!("r8", "r6"),
        group_of_one!("r9", "r7"),
        "5:",
        "ldr r0, [sp]",
        "ldrd r12, lr, [r0, #20]",
        "ldr r3, [r0, #40]",
        "ldm r12, {{r8-r11}}",
        "mvn r9, r9",
        "mvn r11, r11",
        requantize!("r4", "r8", "r9", "r3"),
        requantize!("r5", "r10", "r11", "r3"),
        "ldrd r8, r9, [r12, #16]",
        "ldrd r10, r11, [r12, #24]",
        "mvn r9, r9",
        "mvn r11, r11",
        requantize!("r6", "r8", "r9", "r3"),
        requantize!("r7", "r10", "r11", "r3"),
        "add r12, r12, lr",
        "str r12, [r0, #20]",
        "ldrd r8, r9, [r0, #44]",
        "sub r10, r9, r8",
        "cmp r10, #255",
        "beq 6f",
        bound!("r4", "r8", "r9"),
        bound!("r5", "r8", "r9"),
        bound!("r6", "r8", "r9"),
        bound!("r7", "r8", "r9"),
        "6:",
        "bfi r4, r5, #8, #8",
        "bfi r4, r6, #16, #8",
        "bfi r4, r7, #24, #8",
        "ldr r10, [r0, #28]",
        "str r4, [r10], #4",
        "str r10, [r0, #28]",
        "ldr r1, [r0, #36]",
        "subs r1, r1, #1",
        "str r1, [r0, #36]",
        "bne 2b",
        "pop {{r0, r4-r11, pc}}",
    )
}

/// Four channels of a tap, whose words are in r8 and r9.
macro_rules! tap {
    () => {
        "sxtab16 r10, r3, r8
        sxtb16 r11, r9
        smlabb r4, r10, r11, r4
        smlatt r6, r10, r11, r6
        sxtab16 r10, r3, r8, ror #8
        sxtb16 r11, r9, ror #8
        smlabb r5, r10, r11, r5
        smlatt r7, r10, r11, r7
        "
    };
}

/// Tiles of one pixel and four channels.
///
/// # Safety
/// At each tap, x and w have the channels of all tiles; `bias` and `requant` point to those of all tiles, y to
/// room for them. No count is 0.
#[unsafe(naked)]
unsafe extern "C" fn depthwise(task: &mut Depthwise) {
    naked_asm!(
        "push {{r4-r11, lr}}",
        "mov r2, r0",
        "2:",
        "ldr r12, [r2, #32]",
        "ldm r12!, {{r4-r7}}",
        "str r12, [r2, #32]",
        "ldrd r0, r1, [r2, #24]",
        "add r8, r0, #4",
        "add r9, r1, #4",
        "strd r8, r9, [r2, #24]",
        "ldr r3, [r2, #64]",
        "ldr lr, [r2, #20]",
        "ldrd r8, r9, [r2]",
        "ldr r12, [r2, #8]",
        "cmp r8, r9",
        "it eq",
        "cmpeq r12, #3",
        "bne 4f",
        // Rows of three taps, whose steps are the same in x and in w.
        "mov r12, r8",
        "7:",
        "ldr r8, [r0]",
        "ldr r9, [r1]",
        tap!(),
        "ldr r8, [r0, r12]",
        "ldr r9, [r1, r12]",
        tap!(),
        "ldr r8, [r0, r12, lsl #1]",
        "ldr r9, [r1, r12, lsl #1]",
        tap!(),
        "add r11, r12, r12, lsl #1",
        "ldrd r8, r9, [r2, #12]",
        "add r0, r0, r8",
        "add r1, r1, r9",
        "add r0, r0, r11",
        "add r1, r1, r11",
        "subs lr, lr, #1",
        "bne 7b",
        "b 5f",
        "3:",
        "ldr r12, [r2, #8]",
        "4:",
        "ldr r8, [r0]",
        "ldr r9, [r1]",
        tap!(),
        "ldm r2, {{r8, r9}}",
        "add r0, r0, r8",
        "add r1, r1, r9",
        "subs r12, r12, #1",
        "bne 4b",
        "ldrd r8, r9, [r2, #12]",
        "add r0, r0, r8",
        "add r1, r1, r9",
        "subs lr, lr, #1",
        "bne 3b",
        "5:",
        "ldrd r12, lr, [r2, #36]",
        "ldr r3, [r2, #52]",
        "ldm r12, {{r8-r11}}",
        "mvn r9, r9",
        "mvn r11, r11",
        requantize!("r4", "r8", "r9", "r3"),
        requantize!("r5", "r10", "r11", "r3"),
        "ldrd r8, r9, [r12, #16]",
        "ldrd r10, r11, [r12, #24]",
        "mvn r9, r9",
        "mvn r11, r11",
        requantize!("r6", "r8", "r9", "r3"),
        requantize!("r7", "r10", "r11", "r3"),
        "add r12, r12, lr",
        "str r12, [r2, #36]",
        "ldrd r8, r9, [r2, #56]",
        "sub r10, r9, r8",
        "cmp r10, #255",
        "beq 6f",
        bound!("r4", "r8", "r9"),
        bound!("r5", "r8", "r9"),
        bound!("r6", "r8", "r9"),
        bound!("r7", "r8", "r9"),
        "6:",
        "bfi r4, r5, #8, #8",
        "bfi r4, r6, #16, #8",
        "bfi r4, r7, #24, #8",
        "ldr r10, [r2, #44]",
        "str r4, [r10], #4",
        "str r10, [r2, #44]",
        "ldr r1, [r2, #48]",
        "subs r1, r1, #1",
        "str r1, [r2, #48]",
        "bne 2b",
        "pop {{r4-r11, pc}}",
    )
}
