//! A corrupted file for each clause of each validity rule: which rule refuses it, and where.

mod damage;
#[path = "../file/mod.rs"]
mod file;

use damage::CASES;
use file::File;
use flatpack_format::{Block, Error, Model, Rule};
use std::collections::BTreeSet;

/// One kind of damage: the rule that refuses it, what is damaged, and a function that damages the
/// sample and gives the position of the error.
struct Case {
    rule: Rule,
    what: &'static str,
    damage: fn(&mut File) -> u32,
    repaired: bool,
}

/// Checksums are made right after the damage, so that the rule is reached.
const fn broken(rule: Rule, what: &'static str, damage: fn(&mut File) -> u32) -> Case {
    Case { rule, what, damage, repaired: true }
}

/// Checksums stay as they are.
const fn raw(rule: Rule, what: &'static str, damage: fn(&mut File) -> u32) -> Case {
    Case { rule, what, damage, repaired: false }
}

#[test]
fn the_sample_breaks_no_rule() {
    assert_eq!(File::sample().verify(), Ok(()));
}

#[test]
fn each_damage_breaks_its_rule_at_its_position() {
    for Case { rule, what, damage, repaired } in CASES {
        let mut file = File::sample();
        let at = damage(&mut file);
        if *repaired {
            file.repair_header();
        }
        let error = file.verify().expect_err(what);
        assert_eq!((error.rule, error.at), (*rule, at), "{what}");
    }
}

#[test]
fn a_file_off_its_alignment_is_refused_wherever_it_lies() {
    let file = File::sample();
    let mut memory = vec![Block::ZERO; file.blocks.len() + 1];
    for offset in 1..16 {
        let memory = &mut Block::bytes_mut(&mut memory)[offset..offset + file.len];
        memory.copy_from_slice(file.bytes());
        assert_eq!(Model::parse(memory).err(), Some(Error { rule: Rule::V05, at: 0 }));
    }
}

#[test]
fn every_rule_has_a_damage_that_breaks_it() {
    let mut broken: BTreeSet<Rule> = CASES.iter().map(|case| case.rule).collect();
    // A file in memory can be misaligned, its bytes cannot: the test above.
    broken.insert(Rule::V05);
    assert_eq!(broken, Rule::ALL.iter().copied().collect());
}

#[test]
fn every_section_has_a_checksum() {
    let mut whole = File::sample();
    for section in whole.directory().to_vec() {
        let mut file = whole.clone();
        file.bytes_mut()[(section.offset + section.bytes) as usize - 1] ^= 0x40;
        let error = file.verify().unwrap_err();
        // Records may break their own rule first.
        assert!(error.rule != Rule::V25 || error.at == section.offset, "{error}");
        file = whole.clone();
        file.directory().iter_mut().find(|s| s.kind == section.kind).unwrap().crc32 ^= 1;
        file.repair_header();
        assert_eq!(file.verify(), Err(Error { rule: Rule::V25, at: section.offset }));
    }
}
