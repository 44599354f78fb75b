//! One regression tree, grown leaf by leaf from histograms of gradients.
//!
//! Best first: of all leaves, the one whose best question gains most is split next. A leaf's histogram holds, per bin
//! of each feature, the sums of the gradients; of two siblings only the smaller one is counted, the other's is the
//! difference from their parent's.
#![allow(
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    reason = "bins, rows and leaves are those of the tree"
)]

use super::binned::{BINS, BinnedColumn};
use super::forest::{MAX_LEAVES, Question, bits};
use super::lambda_rank::Gradient;
use super::parallel;
use std::num::NonZero;

/// Additions for which it is worth to start threads.
const WORTH_THREADS: usize = 100_000;

/// How a tree grows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Growth {
    /// Leaves, at most [`MAX_LEAVES`].
    pub max_leaves: usize,
    /// Rows that each leaf of a question must have, weighted by their second derivatives as in LightGBM: rows that
    /// cannot move count little.
    pub min_rows: f64,
    /// The sum of second derivatives that each leaf of a question must have.
    pub min_curvature: f64,
    /// Added to the sum of second derivatives of a leaf: small leaves have small answers.
    pub l2: f64,
}

impl Default for Growth {
    fn default() -> Self {
        Self { max_leaves: MAX_LEAVES, min_rows: 200.0, min_curvature: 1e-3, l2: 5.0 }
    }
}

/// Rows and their gradients, in the same order.
#[derive(Debug, Default, Clone)]
pub(super) struct Leaf {
    pub(super) rows: Vec<u32>,
    pub(super) gradients: Vec<Gradient>,
}

/// A tree over bins.
#[derive(Debug)]
pub(super) struct GrownTree {
    /// A node before its left and then its right branch.
    pub(super) questions: Vec<Question<u8>>,
    /// From left to right.
    pub(super) values: Vec<f32>,
    /// Column and gain of each question.
    pub(super) gains: Vec<(usize, f64)>,
}

/// Sums of the first and second derivatives.
type Sums = [f64; 2];
type Histogram = Vec<Sums>;

#[derive(Debug, Clone, Copy, PartialEq)]
struct Split {
    gain: f64,
    column: usize,
    bin: u8,
    left: Sums,
}

/// A leaf that may still be split.
#[derive(Debug)]
struct OpenLeaf {
    node: usize,
    leaf: Leaf,
    sums: Sums,
    histograms: Vec<Histogram>,
    best: Option<Split>,
}

#[derive(Debug, Clone, Copy)]
enum Node {
    Leaf(Sums),
    Split { column: usize, bin: u8, left: usize, right: usize },
}

impl GrownTree {
    /// The tree of these gradients that may ask for these columns.
    pub(super) fn grow(
        columns: &[BinnedColumn],
        features: &[usize],
        root: Leaf,
        growth: &Growth,
        threads: NonZero<usize>,
    ) -> Self {
        let grower = Grower { columns, features, growth, threads };
        let mut nodes = Vec::with_capacity(2 * MAX_LEAVES);
        let mut gains = Vec::new();
        let root = grower.root(root);
        nodes.push(Node::Leaf(root.sums));
        let mut open = vec![root];
        while gains.len() + 1 < growth.max_leaves.min(MAX_LEAVES) {
            let mut best: Option<(usize, Split)> = None;
            for (at, split) in open.iter().enumerate().filter_map(|(at, leaf)| Some((at, leaf.best?))) {
                if best.is_none_or(|(_, best)| split.gain > best.gain) {
                    best = Some((at, split));
                }
            }
            let Some((at, split)) = best else { break };
            let parent = open.swap_remove(at);
            let (left, right) = (nodes.len(), nodes.len() + 1);
            nodes[parent.node] = Node::Split { column: split.column, bin: split.bin, left, right };
            let children = grower.split(parent, split, left, right);
            nodes.extend(children.iter().map(|child| Node::Leaf(child.sums)));
            open.extend(children);
            gains.push((split.column, split.gain));
        }
        let mut tree = Self { questions: Vec::new(), values: Vec::new(), gains };
        tree.lay_out(&nodes, 0, growth);
        tree
    }

    fn lay_out(&mut self, nodes: &[Node], at: usize, growth: &Growth) {
        match nodes[at] {
            Node::Leaf([first, second]) if nodes.len() > 1 => {
                self.values.push(single(-first / (second + growth.l2)));
            }
            Node::Leaf(_) => self.values.push(0.0),
            Node::Split { column, bin, left, right } => {
                let (question, first) = (self.questions.len(), self.leaf_count());
                let feature = u16::try_from(column).unwrap_or(u16::MAX);
                self.questions.push(Question { feature, left: 0, bound: bin });
                self.lay_out(nodes, left, growth);
                self.questions[question].left = bits(first..self.leaf_count());
                self.lay_out(nodes, right, growth);
            }
        }
    }

    fn leaf_count(&self) -> u8 {
        u8::try_from(self.values.len()).unwrap_or(u8::MAX)
    }

    pub(super) fn shrink(&mut self, rate: f64) {
        self.values.iter_mut().for_each(|value| *value = single(f64::from(*value) * rate));
    }

    /// The questions about the features themselves.
    pub(super) fn questions(&self, columns: &[BinnedColumn]) -> Vec<Question<f32>> {
        let bound = |question: &Question<u8>| {
            columns[usize::from(question.feature)].bounds()[usize::from(question.bound)]
        };
        let questions = self.questions.iter();
        questions.map(|q| Question { feature: q.feature, left: q.left, bound: bound(q) }).collect()
    }
}

#[derive(Debug)]
struct Grower<'a> {
    columns: &'a [BinnedColumn],
    features: &'a [usize],
    growth: &'a Growth,
    threads: NonZero<usize>,
}

impl Grower<'_> {
    fn threads(&self, rows: usize) -> NonZero<usize> {
        if rows * self.features.len() < WORTH_THREADS { NonZero::<usize>::MIN } else { self.threads }
    }

    fn root(&self, leaf: Leaf) -> OpenLeaf {
        let mut sums = [0.0; 2];
        leaf.gradients.iter().for_each(|gradient| add(&mut sums, *gradient));
        let found = parallel::map(self.features.to_vec(), self.threads(leaf.rows.len()), |column| {
            let histogram = histogram(&self.columns[column], &leaf);
            let best = self.best_of(column, &histogram, sums, leaf.rows.len());
            (histogram, best)
        });
        let (histograms, best) = found.into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
        OpenLeaf { node: 0, leaf, sums, histograms, best: best_of_all(best) }
    }

    fn split(&self, parent: OpenLeaf, split: Split, left_node: usize, right_node: usize) -> [OpenLeaf; 2] {
        let (left, right) = partition(&self.columns[split.column], parent.leaf, split.bin);
        let right_sums = [parent.sums[0] - split.left[0], parent.sums[1] - split.left[1]];
        let left_is_smaller = left.rows.len() <= right.rows.len();
        let ((small, small_sums), (large, large_sums)) = if left_is_smaller {
            ((&left, split.left), (&right, right_sums))
        } else {
            ((&right, right_sums), (&left, split.left))
        };
        let work: Vec<_> = self.features.iter().copied().zip(parent.histograms).collect();
        let found = parallel::map(work, self.threads(small.rows.len()), |(column, mut of_large)| {
            let of_small = histogram(&self.columns[column], small);
            for (large, small) in of_large.iter_mut().zip(&of_small) {
                large[0] -= small[0];
                large[1] -= small[1];
            }
            let best_of_small = self.best_of(column, &of_small, small_sums, small.rows.len());
            let best_of_large = self.best_of(column, &of_large, large_sums, large.rows.len());
            ((of_small, best_of_small), (of_large, best_of_large))
        });
        let (of_small, of_large) = found.into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
        let (of_left, of_right) = if left_is_smaller { (of_small, of_large) } else { (of_large, of_small) };
        let open = |node, leaf, sums, found: Vec<(Histogram, Option<Split>)>| {
            let (histograms, best) = found.into_iter().unzip::<_, _, Vec<_>, Vec<_>>();
            OpenLeaf { node, leaf, sums, histograms, best: best_of_all(best) }
        };
        [open(left_node, left, split.left, of_left), open(right_node, right, right_sums, of_right)]
    }

    /// The question about a column that gains most, the lowest bound of equal ones.
    fn best_of(&self, column: usize, histogram: &[Sums], sums: Sums, rows: usize) -> Option<Split> {
        let min_second = (self.growth.min_rows * sums[1] / rows as f64).max(self.growth.min_curvature);
        let worth = |sums: Sums| sums[0] * sums[0] / (sums[1] + self.growth.l2);
        let whole = worth(sums);
        let mut best: Option<Split> = None;
        let mut left = [0.0; 2];
        for (bin, sums_of_bin) in (0..=u8::MAX).zip(histogram.split_last().map_or(&[][..], |(_, rest)| rest))
        {
            left = [left[0] + sums_of_bin[0], left[1] + sums_of_bin[1]];
            let right = [sums[0] - left[0], sums[1] - left[1]];
            if right[1] < min_second {
                break;
            }
            let gain = worth(left) + worth(right) - whole;
            if left[1] >= min_second && gain > best.map_or(0.0, |best| best.gain) {
                best = Some(Split { gain, column, bin, left });
            }
        }
        best
    }
}

/// The first of the best.
fn best_of_all(splits: Vec<Option<Split>>) -> Option<Split> {
    let better = |best: Split, split: Split| if split.gain > best.gain { split } else { best };
    splits.into_iter().flatten().reduce(better)
}

fn histogram(column: &BinnedColumn, leaf: &Leaf) -> Histogram {
    let mut bins = [[0.0; 2]; BINS + 1];
    for (&row, gradient) in leaf.rows.iter().zip(&leaf.gradients) {
        add(&mut bins[usize::from(column.bins()[row as usize])], *gradient);
    }
    bins[..=column.bounds().len()].to_vec()
}

fn add(sums: &mut Sums, gradient: Gradient) {
    sums[0] += f64::from(gradient.first);
    sums[1] += f64::from(gradient.second);
}

/// Rows up to a bin, and those above; both keep their order.
fn partition(column: &BinnedColumn, mut leaf: Leaf, bin: u8) -> (Leaf, Leaf) {
    let mut right = Leaf::default();
    let mut kept = 0;
    for at in 0..leaf.rows.len() {
        let (row, gradient) = (leaf.rows[at], leaf.gradients[at]);
        if column.bins()[row as usize] > bin {
            right.rows.push(row);
            right.gradients.push(gradient);
        } else {
            leaf.rows[kept] = row;
            leaf.gradients[kept] = gradient;
            kept += 1;
        }
    }
    leaf.rows.truncate(kept);
    leaf.gradients.truncate(kept);
    (leaf, right)
}

#[allow(clippy::cast_possible_truncation, reason = "answers are stored in single precision")]
fn single(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranker::binned::BinnedExamples;
    use crate::ranker::examples::Examples;
    use crate::ranker::forest::Forest;
    use proptest::prelude::*;

    /// Two features, the start score, and the first and four times the second derivative.
    type Row = ([i8; 3], i8, u8);

    fn rows() -> impl Strategy<Value = Vec<Row>> {
        prop::collection::vec((prop::array::uniform3(0i8..12), -8i8..=8, 1u8..8), 2..60)
    }

    fn growth(min_rows: f64, max_leaves: usize) -> Growth {
        Growth { max_leaves, min_rows, min_curvature: 1e-3, l2: 1.5 }
    }

    fn sums<'r>(rows: impl IntoIterator<Item = &'r Row>) -> Sums {
        let each = rows.into_iter().map(|row| [f64::from(row.1), f64::from(row.2) / 4.0]);
        each.fold([0.0; 2], |all, row| [all[0] + row[0], all[1] + row[1]])
    }

    /// By how much a leaf's answer reduces twice the loss of its rows.
    fn worth([first, second]: Sums, growth: &Growth) -> f64 {
        first * first / (second + growth.l2)
    }

    /// A tree of these rows, and the answer that each row gets from its stored form.
    fn grow(rows: &[Row], growth: &Growth, threads: usize) -> (GrownTree, Vec<f64>) {
        let threads = NonZero::new(threads).unwrap();
        let mut examples = Examples::new(2);
        for (features, _, _) in rows {
            examples.push(&[f32::from(features[0]), f32::from(features[1])], &[false], 1, 0).unwrap();
        }
        let start = rows.iter().map(|(features, _, _)| f64::from(features[2])).collect();
        let binned = BinnedExamples::new(&examples, start, threads).unwrap();
        let gradient =
            |&(_, first, second): &Row| Gradient { first: f32::from(first), second: f32::from(second) / 4.0 };
        let leaf = Leaf {
            rows: (0..u32::try_from(rows.len()).unwrap()).collect(),
            gradients: rows.iter().map(gradient).collect(),
        };
        let tree = GrownTree::grow(binned.columns(), &[0, 1, 2], leaf, growth, threads);
        let mut forest = Forest::new(2);
        forest.push(&tree.questions(binned.columns()), &tree.values);
        let answer =
            |([a, b, start], _, _): &Row| forest.predict(&[f32::from(*a), f32::from(*b)], f64::from(*start));
        let answers = rows.iter().map(answer).collect();
        (tree, answers)
    }

    /// The gain of the question that gains most, of all that are tried one by one; none if no question gains.
    fn best_gain(rows: &[Row], growth: &Growth) -> Option<f64> {
        let least = growth.min_rows * sums(rows)[1] / rows.len() as f64;
        let questions = (0..3).flat_map(|feature| (0..12).map(move |bound| (feature, bound)));
        let gain = |(feature, bound): (usize, i8)| {
            let (low, high): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| row.0[feature] <= bound);
            let (left, right) = (sums(low.iter().copied()), sums(high.iter().copied()));
            let enough = !low.is_empty() && !high.is_empty() && left[1].min(right[1]) >= least;
            enough.then(|| worth(left, growth) + worth(right, growth) - worth(sums(rows), growth))
        };
        questions.filter_map(gain).filter(|&gain| gain > 1e-12).max_by(f64::total_cmp)
    }

    proptest! {
        #[test]
        fn the_question_is_the_best_of_all_tried_one_by_one(rows in rows(), min_rows in 0.0f64..6.0) {
            let growth = growth(min_rows, 2);
            let (tree, answers) = grow(&rows, &growth, 1);
            match best_gain(&rows, &growth) {
                Some(best) => prop_assert!((tree.gains[0].1 - best).abs() < 1e-9, "{:?} {best}", tree),
                None => prop_assert!(answers.iter().all(|&answer| answer == 0.0), "{:?}", tree),
            }
        }

        #[test]
        fn each_leaf_answers_for_its_rows_and_gains_add_up(rows in rows(), max_leaves in 2usize..20) {
            let growth = growth(2.0, max_leaves);
            let (tree, answers) = grow(&rows, &growth, 1);
            prop_assert!((1..=max_leaves.min(MAX_LEAVES)).contains(&tree.values.len()));
            prop_assert_eq!(tree.questions.len() + 1, tree.values.len());
            // Leaves are told apart by their answers.
            prop_assume!(tree.values.iter().enumerate().all(|(at, value)| !tree.values[..at].contains(value)));
            prop_assume!(tree.values.len() > 1);
            let mut gain = -worth(sums(&rows), &growth);
            for value in &tree.values {
                let of_leaf = |&(_, answer): &(&Row, &f64)| *answer == f64::from(*value);
                let leaf = sums(rows.iter().zip(&answers).filter(of_leaf).map(|(row, _)| row));
                prop_assert!((f64::from(*value) + leaf[0] / (leaf[1] + growth.l2)).abs() < 1e-5, "{:?}", tree);
                gain += worth(leaf, &growth);
            }
            let gains: f64 = tree.gains.iter().map(|gain| gain.1).sum();
            prop_assert!((gain - gains).abs() < 1e-6, "{:?} {gain}", tree);
        }
    }

    #[test]
    fn the_number_of_threads_does_not_show_in_the_tree() {
        let row = |at: u32| {
            let feature = |prime: u32| i8::try_from(at * prime % 12).unwrap();
            let gradient = i8::try_from(at * at % 17).unwrap() - 8;
            ([feature(5), feature(7) / 2, feature(11) / 3], gradient, u8::try_from(1 + at % 7).unwrap())
        };
        let rows: Vec<_> = (0..40_000).map(row).collect();
        let (one, answers) = grow(&rows, &Growth::default(), 1);
        assert!(one.values.len() > 8, "{one:?}");
        for threads in [2, 3, 8] {
            let (tree, same) = grow(&rows, &Growth::default(), threads);
            assert_eq!((tree.values, same), (one.values.clone(), answers.clone()));
        }
    }
}
