//! Depthwise convolution of images with windows of three by three, in tiles of sixteen channels of a pixel.
//!
//! Each tap has an address of its own, which goes from tile to tile. Products of bytes have 16 bits, and so have sums
//! of two of them, but for that of −128 · −128 and the same again, which is looked for beforehand. What a tile
//! multiplies and ends with is prepared once for all pixels, as a stream of vectors in the order in which the loop
//! reads them.

use super::depthwise::depthwise_i8;
use super::{Memory, QUADS};
use crate::arch::{Image, OutputsI8, Patch, Quad};
use crate::fixed;
use crate::window::{Span, Windows};
use core::arch::naked_asm;
use core::array;
use core::mem::MaybeUninit;

/// Channels of a tile.
const TILE: usize = 16;

/// Taps of a window.
const TAPS: usize = 9;

/// What a tile reads: channels 4j + k are together for each k below 4.
#[derive(Clone, Copy)]
#[repr(C, align(4))]
struct Tile {
    bias: [[i32; 4]; 4],
    w: [[i8; TILE]; TAPS],
    /// For each k mantissas, then shifts.
    requant: [[[i32; 4]; 2]; 4],
}

/// Tiles for which there is room, and for the zero points of their channels.
const TILES: usize = QUADS * size_of::<Quad>() / (size_of::<Tile>() + TILE);

/// See [`Arch::depthwise_image_i8`](crate::arch::Arch::depthwise_image_i8).
pub(super) fn depthwise_image_i8(
    memory: &mut Memory,
    image: &Image,
    w: &[i8],
    outputs: &OutputsI8<'_>,
    x: &[i8],
    y: &mut [i8],
) -> Option<()> {
    let ([_, width, channels], [oh, ow, len]) = (image.x, image.y);
    if image.is_one_window() && channels == len && y.len() == len {
        let ([kh, kw], [down, right]) = (image.taps, image.dilation);
        let patch = Patch {
            x: [x],
            w_at: 0,
            len,
            counts: [1, kh, kw],
            x_steps: [0, down.checked_mul(width)?.checked_mul(len)?, right.checked_mul(len)?],
            w_steps: [0, kw.checked_mul(len)? as isize, len as isize],
        };
        return depthwise_i8(&patch, 0, w, outputs, &mut [y]).map(drop);
    }
    let zero = i8::try_from(image.x_zero_point).ok()?;
    if image.taps != [3; 2]
        || channels != len
        || !channels.is_multiple_of(4)
        || channels == 0
        || !outputs.plain
    {
        return None;
    }
    let [h_windows, w_windows] = image.windows();
    let inner = image.whole(1);
    let x_tap = image.dilation[1].checked_mul(channels)?;
    let x_row = image.dilation[0].checked_mul(width)?.checked_mul(channels)?;
    let x_step = image.stride[1].checked_mul(channels)?;
    let kept = memory.kept();
    for first in (0..channels).step_by(TILES * TILE) {
        let count = (channels - first).min(TILES * TILE);
        let (tiles, zeros) = tiles_of(memory);
        let tiles = tiles.get_mut(..count.div_ceil(TILE))?;
        if count < channels || kept != count.div_ceil(TILE) {
            for (at, tile) in (first..).step_by(TILE).zip(tiles.iter_mut()) {
                tile.write(prepare(w, outputs, channels, at)?);
            }
            zeros.fill(MaybeUninit::new(zero));
        }
        let past = tiles.len() * TILE;
        let mut task = Depthwise {
            pixels: 0,
            y_step: channels.wrapping_sub(past),
            x_step: x_step.wrapping_sub(past),
            channels: count,
            tiles: tiles.as_ptr().cast(),
            y: y.as_mut_ptr(),
            zero_point: outputs.y.zero_point,
            taps: [x.as_ptr(); TAPS],
            bounds: Bounds::of(outputs),
        };
        for row in 0..oh {
            let rows = h_windows.span(row);
            let mut column = 0;
            while column < ow {
                let columns = w_windows.span(column);
                let whole = column == inner.start && inner.end > column && rows.count == 3;
                let pixels = if whole { inner.end - column } else { 1 };
                let y = y.get_mut((row * ow + column) * channels + first..)?;
                y.get((pixels - 1) * channels..)?.get(..count)?;
                if rows.count > 0 && columns.count > 0 {
                    let x = x.get((rows.input * width + columns.input) * channels + first..)?;
                    let reach =
                        (pixels - 1) * x_step + (rows.count - 1) * x_row + (columns.count - 1) * x_tap;
                    x.get(reach..)?.get(..count)?;
                    let seen =
                        |span: &Span, tap: usize| tap.checked_sub(span.tap).filter(|at| *at < span.count);
                    task.taps = array::from_fn(|tap| match (seen(&rows, tap / 3), seen(&columns, tap % 3)) {
                        (Some(row), Some(column)) => x.as_ptr().wrapping_add(row * x_row + column * x_tap),
                        _ => zeros.as_ptr().cast(),
                    });
                } else {
                    task.taps = [zeros.as_ptr().cast(); TAPS];
                }
                (task.y, task.pixels) = (y.as_mut_ptr(), pixels);
                // SAFETY: each tap has the channels of all pixels in x, or there is one pixel, of which taps that are
                // not seen have zeros; y has room for them, and there are tiles for all channels.
                unsafe { depthwise(&mut task) };
                column += pixels;
            }
        }
    }
    if channels <= TILES * TILE {
        memory.keep(channels.div_ceil(TILE));
    }
    Some(())
}

/// Room for tiles, and for the zero points of their channels.
fn tiles_of(memory: &mut Memory) -> (&mut [MaybeUninit<Tile>; TILES], &mut [MaybeUninit<i8>; TILES * TILE]) {
    let tiles = memory.all().as_mut_ptr().cast::<MaybeUninit<Tile>>();
    let zeros = tiles.wrapping_add(TILES).cast::<[MaybeUninit<i8>; TILES * TILE]>();
    // SAFETY: the memory is large enough for both, aligned to more than they need, and need not be initialised.
    let tiles = unsafe { &mut *tiles.cast() };
    // SAFETY: as above; it begins where the tiles end.
    (tiles, unsafe { &mut *zeros })
}

/// The tile of the channels from `first` on, with zeros past the last one. `None` if a sum of two products may leave
/// 16 bits.
fn prepare(w: &[i8], outputs: &OutputsI8<'_>, channels: usize, first: usize) -> Option<Tile> {
    let mut tile = Tile { bias: [[0; 4]; 4], w: [[0; TILE]; TAPS], requant: [[[0; 4]; 2]; 4] };
    let count = (channels - first).min(TILE);
    for (tap, to) in tile.w.iter_mut().enumerate() {
        let w = w.get(tap * channels + first..)?.get(..count)?;
        match w.first_chunk() {
            Some(w) => *to = *w,
            None => to.iter_mut().zip(w).for_each(|(to, w)| *to = *w),
        }
    }
    for [even, odd] in tile.w.as_chunks::<2>().0 {
        let larger = even.iter().zip(odd).map(|(even, odd)| *even.max(odd));
        if larger.fold(i8::MAX, i8::min) == i8::MIN {
            return None;
        }
    }
    for (at, bias) in outputs.bias.get(first..)?.iter().take(count).enumerate() {
        let by = fixed::of_output(outputs.requant, first + at)?;
        *tile.bias.get_mut(at % 4)?.get_mut(at / 4)? = *bias;
        let [mantissas, shifts] = tile.requant.get_mut(at % 4)?;
        *mantissas.get_mut(at / 4)? = by.mantissa;
        *shifts.get_mut(at / 4)? = by.shift;
    }
    Some(tile)
}

/// Bounds of sixteen outputs.
#[repr(C)]
struct Bounds {
    min: [i8; TILE],
    max: [i8; TILE],
}

impl Bounds {
    fn of(outputs: &OutputsI8<'_>) -> Self {
        Self { min: [outputs.y.min as i8; TILE], max: [outputs.y.max as i8; TILE] }
    }
}

/// The state of a loop over the pixels of a row that see the same taps.
#[repr(C)]
struct Depthwise {
    pixels: usize,
    /// From past the channels of all tiles to the next pixel.
    y_step: usize,
    x_step: usize,
    channels: usize,
    tiles: *const Tile,
    y: *mut i8,
    zero_point: i32,
    taps: [*const i8; TAPS],
    bounds: Bounds,
}

/// Adds products of 16 bits to the sums: `$even` has those of even channels, `$odd` those of odd ones. Takes q5.
macro_rules! add {
    ($even:literal, $odd:literal) => {
        concat!(
            "vmovlb.s16 q5, ",
            $even,
            "\n",
            "vadd.i32 q0, q0, q5\n",
            "vmovlt.s16 ",
            $even,
            ", ",
            $even,
            "\n",
            "vadd.i32 q2, q2, ",
            $even,
            "\n",
            "vmovlb.s16 q5, ",
            $odd,
            "\n",
            "vadd.i32 q1, q1, q5\n",
            "vmovlt.s16 ",
            $odd,
            ", ",
            $odd,
            "\n",
            "vadd.i32 q3, q3, ",
            $odd,
            "\n",
        )
    };
}

/// Sixteen channels of a tap: products of the even ones in q6, of the odd ones in q4.
macro_rules! tap {
    ($x:literal) => {
        concat!(
            "vldrb.u8 q4, [",
            $x,
            "], #16\n",
            "vldrw.u32 q5, [r7], #16\n",
            "vmullb.s8 q6, q4, q5\n",
            "vmullt.s8 q4, q4, q5\n",
        )
    };
}

/// Two taps. The weights of the second one are loaded twice: all registers are taken.
macro_rules! taps {
    ($x0:literal, $x1:literal) => {
        concat!(
            tap!($x0),
            "vldrb.u8 q5, [",
            $x1,
            "], #16\n",
            "vldrw.u32 q7, [r7]\n",
            "vmullb.s8 q7, q5, q7\n",
            "vadd.i16 q6, q6, q7\n",
            "vldrw.u32 q7, [r7], #16\n",
            "vmullt.s8 q5, q5, q7\n",
            "vadd.i16 q4, q4, q5\n",
            add!("q6", "q4"),
        )
    };
}

/// The sums in a register by the next mantissas and shifts of the stream.
macro_rules! end {
    ($sums:literal) => {
        concat!(
            "vldrw.u32 q4, [r7], #16\n",
            "vldrw.u32 q5, [r7], #16\n",
            requantize!($sums, "q4", "q5", "q6"),
        )
    };
}

/// Pixels of a row.
///
/// # Safety
/// At each tap there are the channels of all pixels; y has room for them; tiles are those of all channels, a multiple
/// of 4. No count is 0.
#[unsafe(naked)]
unsafe extern "C" fn depthwise(task: &mut Depthwise) {
    naked_asm!(
        architecture!(),
        "push {{r3-r11, lr}}",
        "vpush {{d8-d15}}",
        "mov r12, r0",
        "ldrd r10, r11, [r12, #20]",
        "add r0, r12, #28",
        "ldm r0, {{r0-r6, r8, r9}}",
        "2:",
        "ldrd lr, r7, [r12, #12]",
        "dlstp.8 lr, lr",
        "3:",
        "vldrw.u32 q0, [r7], #16",
        "vldrw.u32 q1, [r7], #16",
        "vldrw.u32 q2, [r7], #16",
        "vldrw.u32 q3, [r7], #16",
        taps!("r0", "r1"),
        taps!("r2", "r3"),
        taps!("r4", "r5"),
        taps!("r6", "r8"),
        tap!("r9"),
        add!("q6", "q4"),
        end!("q0"),
        end!("q1"),
        end!("q2"),
        end!("q3"),
        "vqmovnb.s32 q0, q0",
        "vqmovnt.s32 q0, q2",
        "vqmovnb.s32 q1, q1",
        "vqmovnt.s32 q1, q3",
        "vldrw.u32 q2, [r12, #64]",
        "vqadd.s16 q0, q0, r11",
        "vldrw.u32 q3, [r12, #80]",
        "vqadd.s16 q1, q1, r11",
        "vqmovnb.s16 q0, q0",
        "vqmovnt.s16 q0, q1",
        "vmax.s8 q0, q0, q2",
        "vmin.s8 q0, q0, q3",
        "vstrb.8 q0, [r10], #16",
        "letp lr, 3b",
        "ldr r7, [r12]",
        "subs r7, r7, #1",
        "str r7, [r12]",
        "beq 4f",
        "ldrd r7, lr, [r12, #4]",
        "add r10, r10, r7",
        "cmp lr, #0",
        "beq 2b",
        "add r0, r0, lr",
        "add r1, r1, lr",
        "add r2, r2, lr",
        "add r3, r3, lr",
        "add r4, r4, lr",
        "add r5, r5, lr",
        "add r6, r6, lr",
        "add r8, r8, lr",
        "add r9, r9, lr",
        "b 2b",
        "4:",
        "vpop {{d8-d15}}",
        "pop {{r3-r11, pc}}",
    )
}
