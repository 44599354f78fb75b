//! The tree stage: gradient boosting on LambdaRank's gradients.
//!
//! Each tree is grown on a share of the candidates and of the features, chosen by the seed, and shrunk before it is
//! added, as in LightGBM, which also draws candidates rather than whole groups. Other than there, groups without a hit,
//! which have no gradient, are not counted as rows of a leaf.
#![allow(clippy::indexing_slicing, reason = "groups, rows and columns are those of the binned examples")]

use super::binned::{BinnedColumn, BinnedExamples};
use super::examples::{Group, View};
use super::forest::{Forest, LANES, Question, leaves};
use super::lambda_rank::{Gradient, LambdaRank};
use super::parallel;
use super::random::SplitMix64;
use super::trees::{GrownTree, Growth, Leaf};
use std::num::NonZero;

/// Groups of one piece of work.
const BLOCK: usize = 64;

/// How trees are boosted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BoostSettings {
    /// Number of trees. A longer training starts with the trees of a shorter one.
    pub trees: usize,
    /// What a tree's answer is multiplied by.
    pub learning_rate: f64,
    /// Share of the features that a tree may ask for.
    pub feature_share: f64,
    /// Share of the candidates that a tree is grown on.
    pub row_share: f64,
    /// How a tree grows.
    pub growth: Growth,
    /// Decides which candidates and features a tree sees.
    pub seed: u64,
}

impl Default for BoostSettings {
    fn default() -> Self {
        let growth = Growth::default();
        Self { trees: 120, learning_rate: 0.05, feature_share: 0.6, row_share: 0.8, growth, seed: 0 }
    }
}

/// Trees, and what they were learned from.
#[derive(Debug, Clone, PartialEq)]
pub struct Boosted {
    /// The trees.
    pub forest: Forest,
    /// By how much the questions about each feature reduced the loss, as LightGBM's feature importance *gain*; the
    /// start score is the last.
    pub gains: Vec<f64>,
}

impl BinnedExamples<'_> {
    /// Trees that raise the nDCG of a view of these examples above that of the start scores.
    ///
    /// A tree without a question that helps is a leaf of 0. Memory beside the binned examples: some 50 bytes per
    /// candidate of the view.
    pub fn boost(&self, view: &View<'_>, settings: &BoostSettings, threads: NonZero<usize>) -> Boosted {
        let mut groups = view.groups_with_hits();
        groups.retain(|group| group.rows().end <= self.start().len());
        let mut scores: Vec<f64> =
            groups.iter().flat_map(|group| &self.start()[group.rows()]).copied().collect();
        let start_column = self.columns().len() - 1;
        let useful = |&column: &usize| {
            let may = column == start_column || view.uses(column);
            may && u16::try_from(column).is_ok() && !self.columns()[column].bounds().is_empty()
        };
        let features: Vec<usize> = (0..=start_column).filter(useful).collect();
        let mut random = SplitMix64::new(settings.seed);
        let mut boosted = Boosted { forest: Forest::new(start_column), gains: vec![0.0; start_column + 1] };
        for _ in 0..settings.trees {
            let features = random.choose(&features, share(settings.feature_share, features.len()));
            let root = self.gradients(&groups, &scores, settings.row_share, &mut random, threads);
            let mut tree = GrownTree::grow(self.columns(), &features, root, &settings.growth, threads);
            tree.shrink(settings.learning_rate);
            self.add_tree(&tree, &groups, &mut scores, threads);
            for (column, gain) in &tree.gains {
                boosted.gains[*column] += gain;
            }
            boosted.forest.push(&tree.questions(self.columns()), &tree.values);
        }
        boosted
    }

    /// Some of the rows, and their gradients; `scores` has the rows of all groups, one group after the other.
    fn gradients(
        &self,
        groups: &[Group],
        scores: &[f64],
        row_share: f64,
        random: &mut SplitMix64,
        threads: NonZero<usize>,
    ) -> Leaf {
        let mut blocks = Vec::new();
        let mut rest = scores;
        for groups in groups.chunks(BLOCK) {
            let (scores, after) = rest.split_at(rows_of(groups));
            blocks.push((groups, scores, SplitMix64::new(random.next())));
            rest = after;
        }
        let parts = parallel::map(blocks, threads, |(groups, mut scores, mut random)| {
            let (mut lambda_rank, mut gradients, mut leaf) =
                (LambdaRank::default(), Vec::new(), Leaf::default());
            for group in groups {
                let (of_group, after) = scores.split_at(group.rows().len());
                gradients.resize(of_group.len(), Gradient::default());
                lambda_rank.gradients(of_group, self.examples().labels(group.rows()), &mut gradients);
                let rows = group.rows().filter_map(|row| u32::try_from(row).ok());
                for (row, &gradient) in rows.zip(&gradients).filter(|_| random.chance(row_share)) {
                    leaf.rows.push(row);
                    leaf.gradients.push(gradient);
                }
                scores = after;
            }
            leaf
        });
        let mut all = Leaf::default();
        let length = parts.iter().map(|part| part.rows.len()).sum();
        all.rows.reserve_exact(length);
        all.gradients.reserve_exact(length);
        for part in parts {
            all.rows.extend(part.rows);
            all.gradients.extend(part.gradients);
        }
        all
    }

    fn add_tree(&self, tree: &GrownTree, groups: &[Group], scores: &mut [f64], threads: NonZero<usize>) {
        let mut blocks = Vec::new();
        let mut rest = scores;
        for groups in groups.chunks(BLOCK) {
            let (scores, after) = rest.split_at_mut(rows_of(groups));
            blocks.push((groups, scores));
            rest = after;
        }
        parallel::map(blocks, threads, |(groups, scores)| {
            let mut rest = scores;
            for group in groups {
                let (scores, after) = rest.split_at_mut(group.rows().len());
                for (first, scores) in (group.rows().start..).step_by(LANES).zip(scores.chunks_mut(LANES)) {
                    let leaves = leaves_of_rows(&tree.questions, self.columns(), first, scores.len());
                    for (score, leaf) in scores.iter_mut().zip(leaves) {
                        *score += f64::from(tree.values[usize::from(leaf)]);
                    }
                }
                rest = after;
            }
        });
    }
}

fn rows_of(groups: &[Group]) -> usize {
    groups.iter().map(|group| group.rows().len()).sum()
}

fn leaves_of_rows(
    questions: &[Question<u8>],
    columns: &[BinnedColumn],
    first: usize,
    rows: usize,
) -> [u8; LANES] {
    let mut padded = [[0; LANES]; super::forest::MAX_LEAVES];
    let bins = |feature: u16| &columns[usize::from(feature)].bins()[first..];
    if rows == LANES {
        return leaves(questions, |question, _| bins(question.feature).first_chunk().unwrap_or(&[0; LANES]));
    }
    for (padded, question) in padded.iter_mut().zip(questions) {
        padded.iter_mut().zip(bins(question.feature)).take(rows).for_each(|(padded, bin)| *padded = *bin);
    }
    leaves(questions, |_, at| &padded[at])
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "at most `of`, which is far below 2^52"
)]
fn share(share: f64, of: usize) -> usize {
    (((of as f64) * share).round() as usize).clamp(1, of.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranker::conditional_logit::fit;
    use crate::ranker::examples::Examples;
    use crate::ranker::quality::mean_quality;

    const TWO: NonZero<usize> = NonZero::<usize>::MIN.saturating_add(1);

    /// Of 30 candidates, those are bought whose two features are both high or both low, mostly: each feature alone
    /// says nothing. The third is noise, the fourth constant.
    fn interaction(groups: u16) -> Examples {
        let mut examples = Examples::new(5);
        let mut random = SplitMix64::new(11);
        let mut uniform = || f32::from(u16::try_from(random.next() >> 52).unwrap()) / 4096.0;
        for group in 0..groups {
            let (mut values, mut labels) = (Vec::new(), Vec::new());
            for _ in 0..30 {
                let row = [uniform() / 9.0, uniform(), uniform(), uniform(), 2.0];
                let wanted = (row[1] > 0.6) == (row[2] > 0.6);
                labels.push(uniform() < if wanted { 0.25 } else { 0.02 });
                values.extend(row);
            }
            let hits = labels.iter().filter(|&&hit| hit).count();
            let products = u32::try_from(hits).unwrap() + 1;
            examples.push(&values, &labels, products, u8::try_from(group % 4).unwrap()).unwrap();
        }
        examples
    }

    fn start(examples: &Examples) -> Vec<f64> {
        let weights = fit(&examples.view(|group| group.fold() != 0), TWO);
        let mut scores = vec![0.0; examples.rows()];
        weights.write_scores(&examples.all(), &mut scores);
        scores
    }

    /// The start scores, with what some of the trees add.
    fn scores(examples: &Examples, forest: &Forest, trees: usize, start: &[f64]) -> Vec<f64> {
        let mut scores = start.to_vec();
        forest.add_to(&mut scores, 0..trees, examples.values(0..examples.rows()), start);
        scores
    }

    #[test]
    fn trees_find_an_interaction_that_no_weights_express_and_gain_on_unseen_groups() {
        let examples = interaction(600);
        let start = start(&examples);
        let binned = BinnedExamples::new(&examples, start.clone(), TWO).unwrap();
        let learned = examples.view(|group| group.fold() != 0);
        let boosted = binned.boost(&learned, &BoostSettings::default(), TWO);
        let unseen = examples.view(|group| group.fold() == 0);
        let linear = mean_quality(&unseen, &start);
        let trees = mean_quality(&unseen, &scores(&examples, &boosted.forest, 120, &start));
        assert!(trees > linear + 0.06, "{linear} {trees}");
        let [_, first, second, noise, constant, _] = boosted.gains[..] else { panic!("{boosted:?}") };
        assert!(first.min(second) > 1.5 * noise, "{:?}", boosted.gains);
        assert_eq!(constant, 0.0);
        assert!(boosted.forest.encode().len() < 22_000);
        assert_eq!(Forest::decode(&boosted.forest.encode()), Ok(boosted.forest));
    }

    #[test]
    fn a_shorter_training_gives_the_first_trees_of_a_longer_one() {
        let examples = interaction(80);
        let start = start(&examples);
        let binned = BinnedExamples::new(&examples, start.clone(), TWO).unwrap();
        let settings = BoostSettings { trees: 12, ..BoostSettings::default() };
        let mut long = binned.boost(&examples.all(), &settings, TWO).forest;
        let short = binned.boost(&examples.all(), &BoostSettings { trees: 5, ..settings }, TWO).forest;
        let from_long = scores(&examples, &long, 5, &start);
        assert_eq!(from_long, scores(&examples, &short, 5, &start));
        assert_ne!(from_long, scores(&examples, &long, 12, &start));
        long.truncate(5);
        assert_eq!(long, short);
    }

    #[test]
    fn threads_do_not_show_in_the_trees_and_the_seed_does() {
        let examples = interaction(300);
        let start = start(&examples);
        let settings = BoostSettings { trees: 6, ..BoostSettings::default() };
        let boost = |threads: usize, seed| {
            let threads = NonZero::new(threads).unwrap();
            let binned = BinnedExamples::new(&examples, start.clone(), threads).unwrap();
            binned.boost(&examples.all(), &BoostSettings { seed, ..settings }, threads)
        };
        let one = boost(1, 0);
        assert_eq!(boost(2, 0), one);
        assert_eq!(boost(5, 0), one);
        assert_ne!(boost(1, 1).forest, one.forest);
    }

    #[test]
    fn trees_are_boosted_from_the_scores_that_they_give_when_served() {
        let examples = interaction(100);
        let start = start(&examples);
        let binned = BinnedExamples::new(&examples, start.clone(), TWO).unwrap();
        let groups = examples.all().groups_with_hits();
        let boosted = binned.boost(&examples.all(), &BoostSettings::default(), TWO);
        let served = scores(&examples, &boosted.forest, 120, &start);
        // Boosting again from what is served must not find what the first trees have found.
        let left = |start: &[f64]| -> f64 {
            let scores: Vec<f64> = groups.iter().flat_map(|group| &start[group.rows()]).copied().collect();
            let leaf = binned.gradients(&groups, &scores, 1.0, &mut SplitMix64::new(0), TWO);
            leaf.gradients.iter().map(|gradient| f64::from(gradient.first.abs())).sum()
        };
        assert!(left(&served) < 0.9 * left(&start), "{} {}", left(&served), left(&start));

        let settings =
            BoostSettings { trees: 1, row_share: 1.0, feature_share: 1.0, ..BoostSettings::default() };
        let forest = binned.boost(&examples.all(), &settings, TWO).forest;
        let mut compact: Vec<f64> = groups.iter().flat_map(|group| &start[group.rows()]).copied().collect();
        let root = binned.gradients(&groups, &compact, 1.0, &mut SplitMix64::new(0), TWO);
        let columns: Vec<usize> = vec![0, 1, 2, 3, 5];
        let mut tree = GrownTree::grow(binned.columns(), &columns, root, &settings.growth, TWO);
        tree.shrink(settings.learning_rate);
        binned.add_tree(&tree, &groups, &mut compact, TWO);
        let served = scores(&examples, &forest, 1, &start);
        let served: Vec<f64> = groups.iter().flat_map(|group| &served[group.rows()]).copied().collect();
        assert_eq!(compact, served);
    }

    #[test]
    fn features_that_are_left_out_are_not_asked_for() {
        let examples = interaction(200);
        let binned = BinnedExamples::new(&examples, start(&examples), TWO).unwrap();
        let settings = BoostSettings { trees: 20, ..BoostSettings::default() };
        let boosted = binned.boost(&examples.all().without(&[1, 3]), &settings, TWO);
        assert_eq!((boosted.gains[1], boosted.gains[3]), (0.0, 0.0));
        assert!(boosted.gains[2] > 0.0, "{:?}", boosted.gains);
    }

    #[test]
    fn without_hits_or_without_a_feature_that_varies_trees_change_nothing() {
        let mut examples = Examples::new(1);
        for label in [false, true] {
            for _ in 0..20 {
                examples.push(&[1.0; 3], &[label, false, false], 1, 0).unwrap();
            }
            let start = vec![0.5; examples.rows()];
            let binned = BinnedExamples::new(&examples, start.clone(), TWO).unwrap();
            let boosted = binned.boost(&examples.all(), &BoostSettings::default(), TWO);
            assert_eq!(scores(&examples, &boosted.forest, 120, &start), start);
        }
        let nothing = Examples::new(3);
        let binned = BinnedExamples::new(&nothing, Vec::new(), TWO).unwrap();
        assert_eq!(binned.boost(&nothing.all(), &BoostSettings::default(), TWO).gains, [0.0; 4]);
    }
}
