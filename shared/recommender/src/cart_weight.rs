//! How much what is bought together with a cart weighs against what its user buys anyway: learned by hiding one product
//! of a basket and asking for it.

use crate::catalogue::ProductIx;
use crate::evaluate::{drawn, user_state};
use crate::fixed_point::{from_fixed, to_fixed};
use crate::params::Params;
use crate::row::ProductRows;
use crate::score::{ANCHORS, CART_ROWS, History, ScoreRequest, Scorer, ScratchBuffers, cart_rows};
use serde::{Deserialize, Serialize};

/// The weights that are tried.
pub const CART_WEIGHTS: [f64; 9] = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];

/// A list is as long as one that is looked at: a product further down counts as not found.
const LIST: u32 = 10;
/// How many products of a basket are hidden, one at a time.
const MOST_HIDDEN: usize = 3;
/// With fewer questions than this the parameters' weight stays.
const LEAST_QUESTIONS: u64 = 100;

/// What each of [`CART_WEIGHTS`] would have found. Merge: associative, commutative, exact.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CartTrials {
    questions: u64,
    /// For each weight the sum of `1 / log2(place + 1)`, in fixed point.
    gains: [u64; CART_WEIGHTS.len()],
}

impl CartTrials {
    /// Hides products of a user's basket, one at a time, and asks a model that has not seen the basket for them. Which
    /// ones are hidden depends on the user's id alone. A basket of one product is skipped.
    pub fn add<'r>(
        &mut self,
        scorer: &Scorer<'_>,
        scratch: &mut ScratchBuffers,
        rows: impl Fn(ProductIx) -> Option<&'r ProductRows>,
        user: u64,
        history: &History,
        basket: &[ProductIx],
    ) {
        if basket.len() < 2 {
            return;
        }
        let hidden = basket.len().min(MOST_HIDDEN);
        let length = basket.len() as u64;
        let first = usize::try_from(drawn(user_state(0, user), 0) % length).unwrap_or(0);
        for nth in 0..hidden {
            let mut cart = basket.to_vec();
            let product = cart.remove((first + nth * basket.len() / hidden) % basket.len());
            let read = cart_rows(&cart);
            let anchors = scorer.anchors(scratch, history, ANCHORS - read.len());
            let request = ScoreRequest {
                history,
                anchors: &anchors,
                next_row: &|product| rows(product).map(|rows| &rows.next),
                cart: &cart,
                together_row: &|product| {
                    rows(product).filter(|_| read.contains(&product)).map(|rows| &rows.together)
                },
                exclude: &[],
                filter: None,
                at_ms: 0,
                limit: 0,
            };
            let places = scorer.places_by_weight(scratch, &request, product, &CART_WEIGHTS);
            self.questions += 1;
            for (sum, place) in self.gains.iter_mut().zip(places) {
                if let Some(place) = place.filter(|&place| place <= LIST) {
                    *sum += to_fixed(1.0 / f64::from(place + 1).log2());
                }
            }
        }
    }

    /// The products of a basket whose rows [`CartTrials::add`] asks for at most.
    pub fn read<T>(basket: &[T]) -> &[T] {
        basket.get(basket.len().saturating_sub(CART_ROWS + 1)..).unwrap_or(basket)
    }

    /// Adds other users.
    #[must_use]
    pub fn merge(mut self, other: &Self) -> Self {
        self.questions = self.questions.saturating_add(other.questions);
        for (sum, more) in self.gains.iter_mut().zip(other.gains) {
            *sum = sum.saturating_add(more);
        }
        self
    }

    /// How many hidden products were asked for.
    pub fn questions(&self) -> u64 {
        self.questions
    }

    /// nDCG@10 with each of [`CART_WEIGHTS`].
    pub fn ndcg(&self) -> [f64; CART_WEIGHTS.len()] {
        self.gains.map(|sum| from_fixed(sum) / self.questions.max(1) as f64)
    }

    /// The weight with the best nDCG@10, the smallest of equal ones. With too few questions, or with a weight of 0, it is
    /// that of the parameters.
    pub fn weight(&self, params: &Params) -> f64 {
        if self.questions < LEAST_QUESTIONS || params.together_weight <= 0.0 {
            return params.together_weight;
        }
        let mut best = (0, params.together_weight);
        for (&gain, weight) in self.gains.iter().zip(CART_WEIGHTS) {
            if gain > best.0 {
                best = (gain, weight);
            }
        }
        best.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranker::{Folds, NewestBaskets, hidden_baskets_and_carts};
    use crate::{Dataset, DatasetBuilder, TrainedModel, train};
    use proptest::prelude::*;
    use std::num::NonZero;

    const DAY: i64 = 86_400_000;

    /// Everybody buys a favourite in every other basket, alone, and one of six bundles of two in the others.
    fn shop(users: u32, favourite: &str) -> Dataset {
        let mut builder = DatasetBuilder::new();
        for user in 0..users {
            for basket in 0..6u32 {
                let bundle = (user + basket * (1 + user % 5)) % 6;
                let mut products = vec![format!("bowl {bundle}"), format!("whisk {bundle}")];
                if (user + basket) % 2 == 0 {
                    products = vec![favourite.to_owned()];
                }
                let time_ms = i64::from(basket * 7 + user % 7) * DAY;
                let products = products.iter().map(String::as_str);
                builder.push(&format!("user {user}"), &basket.to_string(), time_ms, products).unwrap();
            }
        }
        builder.build().unwrap()
    }

    fn trials(data: &Dataset) -> CartTrials {
        let folds = Folds::new(&NewestBaskets::of(data), 2_000);
        hidden_baskets_and_carts(data, &Params::default(), folds, NonZero::<usize>::MIN).unwrap().1
    }

    /// The names of the best products for a user of the model with this cart.
    fn answer(data: &Dataset, model: &TrainedModel, user: u32, cart: &[&str]) -> Vec<String> {
        let scorer = Scorer::new(&model.priors);
        let mut scratch = ScratchBuffers::new();
        let history = History::of_user(data, user, 100);
        let cart: Vec<ProductIx> = cart.iter().map(|id| model.priors.index_of(id).unwrap()).collect();
        let anchors = scorer.anchors(&mut scratch, &history, ANCHORS - cart.len());
        let request = ScoreRequest {
            history: &history,
            anchors: &anchors,
            next_row: &|product| Some(&model.rows[product.at()].next),
            cart: &cart,
            together_row: &|product| Some(&model.rows[product.at()].together),
            exclude: &[],
            filter: None,
            at_ms: 0,
            limit: 5,
        };
        let answer = scorer.score(&mut scratch, &request);
        answer.iter().map(|found| model.priors.id(found.product).to_owned()).collect()
    }

    #[test]
    fn the_companion_of_a_carts_product_comes_before_what_the_user_buys_anyway() {
        let data = shop(200, "beans");
        let trials = trials(&data);
        assert!(trials.questions() >= LEAST_QUESTIONS, "{trials:?}");
        let mut model = train(&data, &Params::default(), NonZero::<usize>::MIN, &|_| Vec::new()).unwrap();
        let first = |model: &TrainedModel, user| answer(&data, model, user, &["bowl 2"])[0].clone();
        // With a weight that is too small the favourite leads.
        model.priors = model.priors.with_together_weight(0.25);
        assert!((0..200).any(|user| first(&model, user) == "beans"));
        model.priors = model.priors.with_together_weight(trials.weight(&Params::default()));
        assert_eq!((0..200).filter(|&user| first(&model, user) != "whisk 2").count(), 0);
        // Before anything has been learned as well.
        model.priors = model.priors.with_together_weight(Params::default().together_weight);
        assert_eq!((0..200).filter(|&user| first(&model, user) != "whisk 2").count(), 0);
    }

    #[test]
    fn places_of_each_weight_are_those_of_the_answers_with_it() {
        let data = shop(60, "beans");
        let mut model = train(&data, &Params::default(), NonZero::<usize>::MIN, &|_| Vec::new()).unwrap();
        let products: Vec<ProductIx> = (0..13).map(ProductIx::new).collect();
        for user in 0..12u32 {
            let cart = [products[user as usize % 13]];
            let history = History::of_user(&data, user, 100);
            for weight in CART_WEIGHTS {
                model.priors = model.priors.with_together_weight(weight);
                let (scorer, mut scratch) = (Scorer::new(&model.priors), ScratchBuffers::new());
                let anchors = scorer.anchors(&mut scratch, &history, ANCHORS - 1);
                let request = ScoreRequest {
                    history: &history,
                    anchors: &anchors,
                    next_row: &|product| Some(&model.rows[product.at()].next),
                    cart: &cart,
                    together_row: &|product| Some(&model.rows[product.at()].together),
                    exclude: &[],
                    filter: None,
                    at_ms: 0,
                    limit: 20,
                };
                let list = scorer.score(&mut scratch, &request);
                for &product in &products {
                    let mut places = list.iter().zip(1u32..);
                    let place = places.find(|(found, _)| found.product == product).map(|(_, place)| place);
                    let found = scorer.places_by_weight(&mut scratch, &request, product, &[weight, 64.0]);
                    assert_eq!(found[0], place, "user {user}, product {product:?}, weight {weight}");
                }
            }
        }
    }

    #[test]
    fn few_questions_and_a_weight_of_zero_leave_the_parameters_weight() {
        let trials = CartTrials { questions: 99, gains: [1, 2, 9, 4, 5, 6, 7, 8, 9] };
        let params = Params::default();
        assert_eq!(trials.weight(&params).to_bits(), params.together_weight.to_bits());
        let enough = CartTrials { questions: 100, ..trials };
        assert_eq!(enough.weight(&params).to_bits(), 1f64.to_bits(), "the smaller of two equal ones");
        assert_eq!(enough.weight(&Params { together_weight: 0.0, ..params.clone() }).to_bits(), 0);
        let found_nothing = CartTrials { questions: 100, gains: [0; 9] };
        assert_eq!(found_nothing.weight(&params).to_bits(), params.together_weight.to_bits());
    }

    #[test]
    fn a_cart_weighs_little_where_users_know_what_they_want_and_nothing_goes_together() {
        // Every user likes 4 of 31 products, and buys 2 of them at a time.
        let mut builder = DatasetBuilder::new();
        for user in 0..300u32 {
            let likes = [0, 1, 2, 3].map(|nth| format!("p{}", drawn(u64::from(user), nth) % 31));
            for basket in 0..6u32 {
                let first = (basket % 4) as usize;
                let products = [first, (first + 1 + basket as usize / 4) % 4].map(|nth| likes[nth].as_str());
                let time_ms = i64::from(basket * 7 + user % 7) * DAY;
                builder.push(&format!("user {user}"), &basket.to_string(), time_ms, products).unwrap();
            }
        }
        let trials = trials(&builder.build().unwrap());
        assert!(trials.questions() >= LEAST_QUESTIONS, "{trials:?}");
        let quality = trials.ndcg();
        assert!(quality[0] > quality[8] + 0.05, "{quality:?}");
        assert!(trials.weight(&Params::default()) <= 1.0, "{quality:?}");
    }

    proptest! {
        #[test]
        fn users_asked_apart_and_merged_in_any_order_come_to_the_same_sums(
            parts in prop::collection::vec(prop::collection::vec(0u32..40, 0..6), 1..5),
        ) {
            let data = shop(40, "beans");
            let model = train(&data, &Params::default(), NonZero::<usize>::MIN, &|_| Vec::new()).unwrap();
            let scorer = Scorer::new(&model.priors);
            let ask = |users: &[u32]| {
                let (mut trials, mut scratch) = (CartTrials::default(), ScratchBuffers::new());
                for &user in users {
                    let history = History::of_user(&data, user, 100);
                    let basket: Vec<ProductIx> = history.baskets().last().unwrap().products.to_vec();
                    let rows = |product: ProductIx| model.rows.get(product.at());
                    trials.add(&scorer, &mut scratch, rows, u64::from(user), &history, &basket);
                }
                trials
            };
            let whole = ask(&parts.concat());
            let merge = |sum: CartTrials, part: &Vec<u32>| sum.merge(&ask(part));
            prop_assert_eq!(&parts.iter().fold(CartTrials::default(), merge), &whole);
            prop_assert_eq!(&parts.iter().rev().fold(CartTrials::default(), merge), &whole);
        }
    }
}
