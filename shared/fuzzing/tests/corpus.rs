//! Every input of the corpus, including those that once found a fault, is run through its target, and so are mutants:
//! `NEXTBASKET_MUTANTS` for each target, derived from `NEXTBASKET_SEED`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "a test that cannot go on fails there"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use nextbasket_fuzzing::TARGETS;

/// Memory is measured over the whole process, so the tests run one at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn corpora() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus")
}

fn inputs(name: &str) -> Vec<PathBuf> {
    let mut inputs: Vec<PathBuf> =
        fs::read_dir(corpora().join(name)).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    assert!(inputs.len() >= 5, "{name} has {} inputs", inputs.len());
    inputs
}

fn replay(name: &str) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (_, check) = TARGETS.iter().find(|(known, _)| *known == name).unwrap();
    for input in inputs(name) {
        let _named = NamedIfFails(|| input.display().to_string());
        check(&fs::read(&input).unwrap());
    }
    // What libFuzzer would do without guidance: a few hundred neighbours of the corpus, the same ones each time.
    let known: Vec<Vec<u8>> = inputs(name).iter().map(|input| fs::read(input).unwrap()).collect();
    let small: Vec<&Vec<u8>> = known.iter().filter(|input| input.len() <= 4_096).collect();
    let seed = number("NEXTBASKET_SEED", 1);
    for n in 0..number("NEXTBASKET_MUTANTS", 300) {
        let mut chance = Chance(seed.wrapping_mul(1_000_003).wrapping_add(n));
        let mut input = small[chance.below(small.len())].clone();
        for _ in 0..=chance.below(3) {
            chance.change(&mut input, small[chance.0 as usize % small.len()]);
        }
        let _named = NamedIfFails(|| {
            format!("{name}: NEXTBASKET_SEED={seed}, mutant {n}: {:?}", String::from_utf8_lossy(&input))
        });
        check(&input);
    }
}

/// Names an input if its check fails. The names of all would be a test's output, which the runner copies while the memory of
/// the next test is measured.
struct NamedIfFails<F: Fn() -> String>(F);

impl<F: Fn() -> String> Drop for NamedIfFails<F> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", (self.0)());
        }
    }
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |value| value.parse().unwrap())
}

/// Random numbers from a seed (splitmix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % limit.max(1) as u64).unwrap()
    }

    /// Deletes, repeats or replaces a part, or takes one from another input. The first byte, which chooses the
    /// reader, may change.
    fn change(&mut self, input: &mut Vec<u8>, other: &[u8]) {
        const WORDS: [&[u8]; 24] = [
            b"null",
            b"-1",
            b"1e400",
            b"18446744073709551616",
            b"9223372036854775807",
            b"\"\"",
            b"[]",
            b"{}",
            b"true",
            b"\\u0000",
            b"\xc3\xa9",
            b"\xf0\x9f\x92\xb6",
            b"\xff",
            b"\"",
            b"\n",
            b"\r",
            b",",
            b":",
            b"'",
            b"\\",
            b"\x80\x80\x80\x80\x10",
            b"\xff\xff\xff\xff\x0f",
            b"../",
            b"0.5",
        ];
        let start = 1 + self.below(input.len().max(2) - 1);
        let start = start.min(input.len());
        let end = start + self.below((input.len() - start).min(16) + 1);
        let piece: Vec<u8> = match self.below(6) {
            0 => Vec::new(),
            1 => input[start..end].repeat(2 + self.below(40)),
            2 => input[start..end].iter().map(|byte| byte ^ (1 << self.below(8))).collect(),
            3 => {
                let from = self.below(other.len());
                other[from..(from + 1 + self.below(40)).min(other.len())].to_vec()
            }
            _ => WORDS[self.below(WORDS.len())].to_vec(),
        };
        input.splice(start..end, piece);
    }
}

macro_rules! replayed {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                replay(stringify!($name));
            }
        )*

        #[test]
        fn every_target_is_replayed_and_has_a_program() {
            let replayed = BTreeSet::from([$(stringify!($name).to_owned()),*]);
            let names = |folder: PathBuf| -> BTreeSet<String> {
                let entries = fs::read_dir(folder).unwrap();
                let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
                entries.map(|entry| stem(entry.unwrap().path())).collect()
            };
            assert_eq!(TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect::<BTreeSet<_>>(), replayed);
            assert_eq!(names(corpora()), replayed);
            assert_eq!(names(corpora().join("../fuzz_targets")), replayed);
        }

        /// The corpus is complete for everybody who clones the repository.
        #[test]
        fn the_corpus_is_small() {
            for name in [$(stringify!($name)),*] {
                let inputs: Vec<u64> = fs::read_dir(corpora().join(name))
                    .unwrap()
                    .map(|entry| entry.unwrap().metadata().unwrap().len())
                    .collect();
                let bytes: u64 = inputs.iter().sum();
                assert!(inputs.len() <= 60 && bytes <= 120_000, "{name}: {} inputs, {bytes} bytes", inputs.len());
            }
        }
    };
}

replayed! { bodies cursors csv exports expressions gzip manifests rows stream }
