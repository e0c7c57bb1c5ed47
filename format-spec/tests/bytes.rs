//! Files damaged byte by byte: refused, or whole in every accessor.

mod file;

use file::{File, Section, walk};
use flatpack_format::{Error, Header, Model, Rule, SectionKind};
use proptest::prelude::*;
use std::time::{Duration, Instant};

/// Parses; what is accepted must keep all promises.
fn parse_and_walk(file: &File) -> Result<(), Error> {
    Model::parse(file.bytes()).map(|model| walk(&model))
}

#[test]
fn every_truncation_is_refused() {
    let whole = File::sample();
    for len in 0..whole.len {
        let mut file = whole.clone();
        file.resize(len);
        let rule = file.verify().unwrap_err().rule;
        assert!(matches!(rule, Rule::V01 | Rule::V02), "{len} bytes: {rule:?}");
        // With a header that admits it, deeper rules find what is missing.
        if len >= size_of::<Header>() {
            file.header().file_bytes = len as u32;
            file.repair_header();
            assert!(parse_and_walk(&file).is_err(), "{len} bytes");
        }
    }
}

#[test]
fn every_changed_byte_is_found() {
    let whole = File::sample();
    let mut file = whole.clone();
    for at in 0..whole.len {
        let was = whole.bytes()[at];
        for value in (0..=255).filter(|&value| value != was) {
            file.bytes_mut()[at] = value;
            assert!(file.verify().is_err(), "byte {at:#x} became {value:#x}");
        }
        file.bytes_mut()[at] = was;
    }
}

#[test]
fn every_changed_byte_under_a_right_checksum_is_refused_or_harmless() {
    let whole = File::sample();
    let mut accepted = 0;
    for at in 0..whole.len {
        for value in (0..=255).filter(|&value| value != whole.bytes()[at]) {
            let mut file = whole.clone();
            file.bytes_mut()[at] = value;
            file.repair_header();
            accepted += u32::from(parse_and_walk(&file).is_ok());
        }
    }
    // Weights, golden values, text and the like may change.
    assert!(accepted > 0);
}

/// Words that sit on the edge of something.
fn edge() -> impl Strategy<Value = u32> {
    let edges = [0, 1, 2, 3, 5, 6, 7, 15, 16, 17, 24, 40, 64, 96, 255, 256, 0xffff, 0x1_0000, 1 << 31];
    prop_oneof![
        proptest::sample::select(edges.to_vec()),
        (0u32..64).prop_map(|below| u32::MAX - below),
        any::<u32>(),
        0u32..4096,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]
    #[test]
    fn edge_values_in_several_words_are_refused_or_harmless(
        damage in prop::collection::vec((any::<prop::sample::Index>(), edge(), any::<bool>()), 1..5)
    ) {
        let mut file = File::sample();
        let (words, _) = file.bytes_mut().as_chunks_mut::<4>();
        for (at, value, add) in damage {
            let word = &mut words[at.index(words.len())];
            let was = u32::from_le_bytes(*word);
            *word = if add { was.wrapping_add(value) } else { value }.to_le_bytes();
        }
        file.repair_header();
        let _ = parse_and_walk(&file);
    }

    #[test]
    fn edge_values_in_a_long_directory_are_refused_or_harmless(
        sizes in prop::collection::vec((17u16.., 0usize..40, 4u32..9), 0..6),
        damage in prop::collection::vec((any::<prop::sample::Index>(), 0usize..6, edge()), 0..3)
    ) {
        let mut file = File::sample();
        let mut kinds: Vec<_> = sizes;
        kinds.sort_by_key(|(kind, _, _)| *kind);
        kinds.dedup_by_key(|(kind, _, _)| *kind);
        file.rebuild(|parts| parts.extend(kinds.into_iter().map(|(kind, len, shift)| {
            Section { kind, critical: 0, align: 1 << shift, bytes: vec![b'x'; len] }
        })));
        prop_assert_eq!(file.verify(), Ok(()));
        for (section, field, value) in damage {
            let index = section.index(file.directory().len());
            let section: &mut [u32; 6] = bytemuck::cast_mut(&mut file.directory()[index]);
            section[field] = value;
        }
        file.repair_header();
        let _ = parse_and_walk(&file);
    }
}

#[test]
fn an_unknown_ancillary_section_is_skipped() {
    let mut file = File::sample();
    file.rebuild(|parts| {
        parts.push(Section { kind: 17, critical: 0, align: 64, bytes: b"from later".to_vec() });
    });
    assert_eq!(file.verify(), Ok(()));
    let model = Model::parse(file.bytes()).unwrap();
    walk(&model);
    let section = model.sections().last().unwrap();
    assert_eq!(section.offset % 64, 0);
    assert_eq!(model.section_bytes(section), b"from later");
}

#[test]
fn sections_may_be_empty() {
    let mut file = File::sample();
    file.rebuild(|parts| {
        parts.push(Section { kind: SectionKind::Signature as u16, critical: 0, align: 16, bytes: vec![] });
        parts.push(Section { kind: 999, critical: 0, align: 4096, bytes: vec![] });
    });
    assert_eq!(file.len % 4096, 0);
    assert_eq!(file.verify(), Ok(()));
}

/// A file whose tables have `n` entries each.
fn with_long_tables(n: u16) -> File {
    let mut draft = file::sample();
    let step = draft.steps[2].clone();
    draft.steps = (0..n).map(|_| step.clone()).collect();
    draft.steps.iter_mut().for_each(|step| step.scratches = vec![]);
    let mut case = draft.cases[1].clone();
    case.receipts[0].step = 0;
    draft.cases = (0..n).map(|_| case.clone()).collect();
    draft.meta = (0..n).map(|key| (key.to_string(), "a value".into())).collect();
    let mut file = File::of(&draft);
    // Without parameters, each look-up of their section passes those that are unknown.
    file.rebuild(|parts| {
        parts.extend((100..100 + n).map(|kind| Section { kind, critical: 0, align: 16, bytes: vec![] }));
    });
    file
}

#[test]
fn parsing_takes_time_in_proportion_to_the_file() {
    let (small, large) = (with_long_tables(500), with_long_tables(32_000));
    // As many bytes either way, so that a busy machine slows both alike.
    let times = large.len.div_ceil(small.len);
    let parse = |file: &File, times: usize| -> Duration {
        let start = Instant::now();
        (0..times).for_each(|_| assert_eq!(file.verify(), Ok(())));
        start.elapsed()
    };
    let turns = (0..5).map(|_| (parse(&small, times), parse(&large, 1)));
    let ratio =
        turns.map(|(small, large)| large.as_secs_f64() / small.as_secs_f64()).fold(f64::MAX, f64::min);
    // Quadratic work would take 64 times longer.
    assert!(ratio < 8.0, "{times} small files take {ratio:.1} times less than one as long");
}
