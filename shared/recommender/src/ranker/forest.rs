//! Trees as they are stored and served.
//!
//! A tree of at most 16 leaves is a list of questions "is this feature above that number?". An answer *yes* rules out
//! the leaves on the question's left; the first leaf that is left is the tree's answer. (Lucchese and others,
//! *QuickScorer*, 2015.) All questions are asked, of 16 candidates at a time, in no particular order and without a
//! branch, so that the processor's vector instructions do it: 120 trees for 150 candidates take some 35 µs. And no bytes
//! can make it loop.
#![allow(
    clippy::indexing_slicing,
    reason = "features are checked against the number of columns when a tree is added"
)]

use crate::bytes::{ByteReader, DecodeError, put_varint};
use std::ops::Range;

/// Leaves that a tree may have.
pub const MAX_LEAVES: usize = 16;
/// Candidates that are scored together.
pub(super) const LANES: usize = 16;
const VERSION: u8 = 1;
const NAME: &str = "forest";

/// Boosted regression trees. A candidate's score is its start score plus what each tree adds.
///
/// Features are those of the examples and the start score, which is the last.
#[derive(Debug, Clone, PartialEq)]
pub struct Forest {
    columns: usize,
    questions: Vec<Question<f32>>,
    trees: Vec<Tree>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Tree {
    /// Where its questions end.
    end: usize,
    leaves: u8,
    /// From left to right, then zeros.
    values: [f32; MAX_LEAVES],
}

/// Whether a feature is above a bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Question<T> {
    pub(super) feature: u16,
    /// The leaves that *no* leads to and *yes* does not, the leftmost as the lowest bit.
    pub(super) left: u16,
    pub(super) bound: T,
}

/// The leaf of each of some candidates; `block` has what they answer a question with.
#[inline]
pub(super) fn leaves<'b, T: PartialOrd + Copy + 'b>(
    questions: &[Question<T>],
    block: impl Fn(&Question<T>, usize) -> &'b [T; LANES],
) -> [u8; LANES] {
    let mut ruled_out = [0u16; LANES];
    for (at, question) in questions.iter().enumerate() {
        let values = block(question, at);
        // Without a branch, so that the compiler makes vector instructions of it.
        for (ruled_out, value) in ruled_out.iter_mut().zip(values) {
            *ruled_out |= u16::from(*value > question.bound).wrapping_neg() & question.left;
        }
    }
    // The last leaf is on no question's left, hence never ruled out.
    ruled_out.map(|ruled_out| ruled_out.trailing_ones().min(15) as u8)
}

impl Forest {
    /// No trees, for candidates with this many features besides the start score.
    pub fn new(columns: usize) -> Self {
        Self { columns, questions: Vec::new(), trees: Vec::new() }
    }

    /// The mean of two forests over the same features: their trees one after the other, each with half its say. What
    /// chance put into one of them counts half then.
    #[must_use]
    pub fn averaged(mut self, other: &Self) -> Self {
        let first = self.questions.len();
        self.questions.extend_from_slice(&other.questions);
        self.trees.extend(other.trees.iter().map(|tree| Tree { end: first + tree.end, ..*tree }));
        self.trees.iter_mut().flat_map(|tree| &mut tree.values).for_each(|value| *value /= 2.0);
        self
    }

    /// Number of features besides the start score.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Number of trees.
    pub fn trees(&self) -> usize {
        self.trees.len()
    }

    /// How many questions are about each feature; the start score is the last.
    pub fn splits(&self) -> Vec<usize> {
        let mut splits = vec![0; self.columns + 1];
        for question in &self.questions {
            splits[usize::from(question.feature)] += 1;
        }
        splits
    }

    /// Keeps the first trees: they are those that a shorter training would have made.
    pub fn truncate(&mut self, trees: usize) {
        self.trees.truncate(trees);
        self.questions.truncate(self.trees.last().map_or(0, |tree| tree.end));
    }

    /// Adds a tree: questions with the node before its left and then its right branch.
    pub(super) fn push(&mut self, questions: &[Question<f32>], values: &[f32]) {
        let mut padded = [0.0; MAX_LEAVES];
        padded.iter_mut().zip(values).for_each(|(padded, value)| *padded = *value);
        self.questions.extend_from_slice(questions);
        let leaves = u8::try_from(values.len()).unwrap_or(u8::MAX);
        self.trees.push(Tree { end: self.questions.len(), leaves, values: padded });
    }

    /// What all trees add to the start score of one candidate.
    pub fn predict(&self, features: &[f32], start: f64) -> f64 {
        let mut score = [0.0];
        self.add_to(&mut score, 0..self.trees(), features, &[start]);
        score[0]
    }

    /// Adds what some of the trees say to the scores of candidates, with the features of one candidate after the other,
    /// and their start scores. Adding the trees in several calls gives the same bits as adding them in one.
    ///
    /// Candidates without features or start score are left as they are.
    pub fn add_to(&self, scores: &mut [f64], trees: Range<usize>, features: &[f32], start: &[f64]) {
        let trees = trees.start.min(self.trees.len())..trees.end.min(self.trees.len());
        let mut block = vec![[0.0f32; LANES]; self.columns + 1];
        let rows = features.chunks(self.columns.max(1) * LANES);
        for ((scores, features), start) in scores.chunks_mut(LANES).zip(rows).zip(start.chunks(LANES)) {
            for (lane, row) in features.chunks_exact(self.columns.max(1)).enumerate() {
                for (column, &value) in block.iter_mut().zip(row) {
                    column[lane] = value;
                }
            }
            if let Some(column) = block.last_mut() {
                column.iter_mut().zip(start).for_each(|(value, &start)| *value = single(start));
            }
            let mut first = self.trees[..trees.start].last().map_or(0, |tree| tree.end);
            for tree in &self.trees[trees.clone()] {
                let leaves = leaves(&self.questions[first..tree.end], |question, _| {
                    &block[usize::from(question.feature)]
                });
                for (score, leaf) in scores.iter_mut().zip(leaves) {
                    *score += f64::from(tree.values[usize::from(leaf) % MAX_LEAVES]);
                }
                first = tree.end;
            }
        }
    }

    /// Some 155 bytes per tree of 16 leaves.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        put_varint(&mut out, self.columns as u64);
        put_varint(&mut out, self.trees.len() as u64);
        let mut first = 0;
        for tree in &self.trees {
            out.push(tree.leaves);
            for question in &self.questions[first..tree.end] {
                put_varint(&mut out, u64::from(question.feature));
                out.extend(u8::try_from(question.left.count_ones()));
                out.extend(question.bound.to_le_bytes());
            }
            for value in &tree.values[..usize::from(tree.leaves)] {
                out.extend(value.to_le_bytes());
            }
            first = tree.end;
        }
        out
    }

    /// Reads what [`Forest::encode`] wrote.
    ///
    /// # Errors
    /// Bytes that it does not write.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = ByteReader::new(bytes, NAME);
        reader.version(VERSION)?;
        let columns = u16::try_from(reader.varint()?).map_err(|_| DecodeError::Invalid(NAME))?;
        let mut forest = Self::new(usize::from(columns));
        for _ in 0..reader.length(5)? {
            let leaves = reader.byte()?;
            if !(1..=MAX_LEAVES).contains(&usize::from(leaves)) {
                return Err(DecodeError::Invalid(NAME));
            }
            let mut questions = Vec::with_capacity(usize::from(leaves) - 1);
            // Leaves that are yet to be split, those of the next question last.
            let mut pending = vec![(0, leaves)];
            while let Some((start, end)) = pending.pop() {
                if end - start == 1 {
                    continue;
                }
                let feature = u16::try_from(reader.varint()?).map_err(|_| DecodeError::Invalid(NAME))?;
                let left = reader.byte()?;
                if feature > columns || !(1..end - start).contains(&left) {
                    return Err(DecodeError::Invalid(NAME));
                }
                let middle = start + left;
                questions.push(Question { feature, left: bits(start..middle), bound: reader.f32()? });
                pending.extend([(middle, end), (start, middle)]);
            }
            let values: Result<Vec<f32>, DecodeError> = (0..leaves).map(|_| reader.f32()).collect();
            forest.push(&questions, &values?);
        }
        reader.end()?;
        Ok(forest)
    }
}

/// The bits of some of the leaves.
pub(super) fn bits(leaves: Range<u8>) -> u16 {
    leaves.fold(0, |bits, leaf| bits | 1u16.checked_shl(u32::from(leaf)).unwrap_or(0))
}

#[allow(clippy::cast_possible_truncation, reason = "single precision is what trees compare")]
fn single(score: f64) -> f32 {
    score as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A tree as others draw it.
    #[derive(Debug, Clone)]
    enum Node {
        Leaf(f32),
        Split { feature: u16, bound: f32, branches: Box<[Node; 2]> },
    }

    impl Node {
        fn walk(&self, features: &[f32]) -> f32 {
            match self {
                Self::Leaf(value) => *value,
                Self::Split { feature, bound, branches } => {
                    branches[usize::from(features[usize::from(*feature)] > *bound)].walk(features)
                }
            }
        }

        fn flatten(&self, questions: &mut Vec<Question<f32>>, values: &mut Vec<f32>) {
            match self {
                Self::Leaf(value) => values.push(*value),
                Self::Split { feature, bound, branches } => {
                    let (at, first) = (questions.len(), u8::try_from(values.len()).unwrap());
                    questions.push(Question { feature: *feature, left: 0, bound: *bound });
                    branches[0].flatten(questions, values);
                    questions[at].left = bits(first..u8::try_from(values.len()).unwrap());
                    branches[1].flatten(questions, values);
                }
            }
        }
    }

    const LAST: u8 = 3;
    const COLUMNS: u16 = LAST as u16;

    fn node() -> impl Strategy<Value = Node> {
        let number = || (-4i8..4).prop_map(|number| f32::from(number) / 2.0);
        number().prop_map(Node::Leaf).prop_recursive(4, 31, 2, move |inner| {
            (0..=COLUMNS, number(), inner.clone(), inner).prop_map(|(feature, bound, left, right)| {
                Node::Split { feature, bound, branches: Box::new([left, right]) }
            })
        })
    }

    fn forest(trees: &[Node]) -> Forest {
        let mut forest = Forest::new(usize::from(COLUMNS));
        for tree in trees {
            let (mut questions, mut values) = (Vec::new(), Vec::new());
            tree.flatten(&mut questions, &mut values);
            forest.push(&questions, &values);
        }
        forest
    }

    proptest! {
        #[test]
        fn scores_are_those_of_walking_down_every_tree(
            trees in prop::collection::vec(node(), 0..6),
            rows in prop::collection::vec([-2.0f32..2.0, -2.0f32..2.0, -2.0f32..2.0, -2.0f32..2.0], 0..40),
            split in 0usize..7,
        ) {
            let forest = forest(&trees);
            let features: Vec<f32> = rows.iter().flat_map(|row| row[..3].to_vec()).collect();
            let start: Vec<f64> = rows.iter().map(|row| f64::from(row[3])).collect();
            let mut scores = start.clone();
            forest.add_to(&mut scores, 0..split, &features, &start);
            forest.add_to(&mut scores, split..99, &features, &start);
            for ((row, score), start) in rows.iter().zip(scores).zip(start) {
                let walked = trees.iter().fold(start, |sum, tree| sum + f64::from(tree.walk(row)));
                prop_assert_eq!(score, walked);
                let alone = trees.iter().fold(0.0, |sum, tree| sum + f64::from(tree.walk(row)));
                prop_assert_eq!(forest.predict(&row[..3], start), alone);
            }
        }

        #[test]
        fn bytes_come_back_as_the_same_trees(trees in prop::collection::vec(node(), 0..6), keep in 0usize..6) {
            let mut whole = forest(&trees);
            prop_assert_eq!(Forest::decode(&whole.encode()), Ok(whole.clone()));
            whole.truncate(keep);
            prop_assert_eq!(&whole, &forest(&trees[..keep.min(trees.len())]));
        }

        #[test]
        fn damaged_bytes_are_an_error_or_another_forest_but_no_panic(
            trees in prop::collection::vec(node(), 1..4),
            at: prop::sample::Index,
            byte: u8,
            cut: bool,
        ) {
            let mut bytes = forest(&trees).encode();
            let place = at.index(bytes.len());
            bytes[place] = byte;
            if cut {
                bytes.truncate(place);
            }
            if let Ok(other) = Forest::decode(&bytes) {
                prop_assert_eq!(Forest::decode(&other.encode()), Ok(other.clone()));
                let row = vec![0.5; other.columns()];
                prop_assert!(other.predict(&row, 1.0).is_finite());
            }
        }
    }

    #[test]
    fn a_tree_of_more_leaves_or_of_features_that_are_not_there_is_invalid() {
        let split = |feature| Node::Split {
            feature,
            bound: 0.0,
            branches: Box::new([Node::Leaf(1.0), Node::Leaf(2.0)]),
        };
        let bytes = forest(&[split(2)]).encode();
        assert!(Forest::decode(&bytes).is_ok());
        for (at, byte) in [(3, 17), (3, 0), (4, LAST + 1), (5, 0), (5, 2)] {
            let mut bytes = bytes.clone();
            bytes[at] = byte;
            assert_eq!(Forest::decode(&bytes), Err(DecodeError::Invalid(NAME)), "byte {at}");
        }
    }
}
