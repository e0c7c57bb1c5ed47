//! The loops of this chip's instruction set beside the formulas they stand for, on operands that models rarely have:
//! extremes, exact halves, small multipliers, windows of all kinds. Loops that give nothing leave the work to the
//! portable ones, which the other programs run.

#![no_std]
#![no_main]

mod images;
mod numbers;
mod random;
mod reals;
mod rows;

use defmt::{error, println};
use firmware_example::{entry, exit};
use random::Random;

firmware_example::log_faults!();

#[entry]
fn main() -> ! {
    let mut random = Random(12345);
    for (name, test) in TESTS {
        let mut met = 0u32;
        for round in 0..ROUNDS {
            match test(&mut random) {
                Some(true) => met += 1,
                Some(false) => {}
                None => {
                    error!("{=str}: another result than the formula's, in round {=u32}", name, round);
                    exit(false)
                }
            }
        }
        println!("{=str}: equal in {=u32} of {=u32} rounds", name, met, ROUNDS);
    }
    exit(true)
}

const ROUNDS: u32 = 400;

/// `None` where there is another result, `Some(false)` where there is none.
type Test = fn(&mut Random) -> Option<bool>;

const TESTS: [(&str, Test); 19] = [
    ("convolutions of images", images::conv_image),
    ("depthwise convolutions of images", images::depthwise_image),
    ("depthwise convolutions of a pixel", images::depthwise),
    ("depthwise convolutions with one window", images::depthwise_window),
    ("sums over windows", images::windows),
    ("fully connected rows", rows::fully_connected),
    ("one row", rows::row),
    ("four rows", rows::rows),
    ("rows behind each other", rows::rows_behind_each_other),
    ("rows of moments", rows::moments),
    ("states of filters", rows::states),
    ("sums of integers", numbers::sums),
    ("copies of rows", numbers::copies),
    ("numbers times a multiplier, added", numbers::added),
    ("numbers times a multiplier, as bytes", numbers::requantized),
    ("gates", numbers::gates),
    ("plain multipliers", numbers::plain),
    ("products of reals", reals::products),
    ("products of reals by channel", reals::products_by_channel),
];
