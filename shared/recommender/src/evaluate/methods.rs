//! The methods that are compared: each makes lists for users, or for carts.

use super::evaluator::ListEvaluator;
use super::item_cosine::{COSINE_NEIGHBOURS, ItemCosine};
use super::learned::{CompareError, LearnedSummary, learn};
use super::{LONGEST, category_top, global_personal_top, global_top, personal_top};
use crate::catalogue::ProductIx;
use crate::dataset::Dataset;
use crate::params::Params;
use crate::ranker::Ranker;
use crate::row::ProductRows;
use crate::score::{ANCHORS, History, cart_rows};
use crate::train::{TrainedModel, train};
use std::fmt;
use std::num::NonZero;

/// What a method is asked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'q> {
    /// What the user had bought; empty for a visitor.
    pub history: &'q History,
    /// The products in the cart, which are not answered.
    pub cart: &'q [ProductIx],
    /// When it is asked, in milliseconds since 1970: the time of the basket that is to be predicted.
    pub at_ms: i64,
}

/// A method by its names.
pub struct Method<'m> {
    /// In JSON.
    pub key: &'static str,
    /// For people.
    pub name: &'static str,
    /// What it does, in a sentence.
    pub about: &'static str,
    list: Box<ListMaker<'m>>,
}

type ListMaker<'m> = dyn FnMut(&Question<'_>) -> Vec<ProductIx> + 'm;

impl fmt::Debug for Method<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Method").field("key", &self.key).finish_non_exhaustive()
    }
}

impl<'m> Method<'m> {
    /// A method that makes lists of up to [`LONGEST`] products, best first and without repetitions.
    pub fn new(
        key: &'static str,
        name: &'static str,
        about: &'static str,
        list: impl FnMut(&Question<'_>) -> Vec<ProductIx> + 'm,
    ) -> Self {
        Self { key, name, about, list: Box::new(list) }
    }

    /// The list.
    pub fn list(&mut self, question: &Question<'_>) -> Vec<ProductIx> {
        (self.list)(question)
    }
}

/// What the methods are made of, counted over the same purchases.
#[derive(Debug)]
pub struct ComparedModels {
    model: TrainedModel,
    ranker: Option<Ranker>,
    learned: LearnedSummary,
    by_users: ItemCosine,
    by_baskets: ItemCosine,
}

impl ComparedModels {
    /// Counts everything, and learns from baskets that it hides of the data. `categories` names the
    /// categories of a product id, in any order.
    ///
    /// # Errors
    /// [`CompareError`] as [`train`] and the ranker have it.
    pub fn new(
        data: &Dataset,
        params: &Params,
        threads: NonZero<usize>,
        categories: &dyn Fn(&str) -> Vec<String>,
    ) -> Result<Self, CompareError> {
        let mut model = train(data, params, threads, categories)?;
        let (ranker, learned) = learn(data, params, threads)?;
        model.priors = model.priors.with_together_weight(learned.cart_weight);
        Ok(Self {
            model,
            ranker,
            learned,
            by_users: ItemCosine::of_users(data, COSINE_NEIGHBOURS, threads),
            by_baskets: ItemCosine::of_baskets(data, COSINE_NEIGHBOURS, threads),
        })
    }

    /// The product's own model.
    pub fn model(&self) -> &TrainedModel {
        &self.model
    }

    /// What was learned from the data, and what of it is used.
    pub fn learned(&self) -> &LearnedSummary {
        &self.learned
    }

    /// The methods for users with a history. The last one is the product's own, which the others are compared with: the
    /// ranker, if there is one that is better than the hand formula.
    pub fn for_returning_users(&self) -> Vec<Method<'_>> {
        let ranker = self.ranker.as_ref().map(|ranker| {
            let about = "what the shop's own hidden baskets have taught, asked at the time of the purchase";
            self.answer("ranker", "ranker", about, Some(ranker))
        });
        self.for_new_users().into_iter().chain(ranker).collect()
    }

    /// The same for users without a history, whom a ranker knows nothing of.
    pub fn for_new_users(&self) -> Vec<Method<'_>> {
        let priors = &self.model.priors;
        vec![
            Method::new("gTopFreq", "G-TopFreq", "the products in most baskets of all users", |_| {
                global_top(priors, LONGEST)
            }),
            Method::new("pTopFreq", "P-TopFreq", "the products in most baskets of the user", |question| {
                personal_top(question.history, LONGEST)
            }),
            Method::new(
                "gpTopFreq",
                "GP-TopFreq",
                "the user's own by P-TopFreq, filled up by G-TopFreq",
                |question| global_personal_top(priors, question.history, LONGEST),
            ),
            // The fewer neighbours a product has beside itself, the more a list repeats what the user has bought.
            Method::new(
                "itemCosine5",
                "item-item cosine, 5",
                "the sum of the cosines, over users, to the products of the user; 5 neighbours a product",
                |question| self.by_users.list(question.history.products(), 5, &[], LONGEST),
            ),
            Method::new(
                "itemCosine20",
                "item-item cosine, 20",
                "the same with 20 neighbours a product, the default of the library implicit",
                |question| self.by_users.list(question.history.products(), 20, &[], LONGEST),
            ),
            self.formula("handFormula", "hand formula", "the score with fixed weights"),
        ]
    }

    /// The methods for carts, as [`ComparedModels::for_returning_users`].
    pub fn for_carts(&self) -> Vec<Method<'_>> {
        let priors = &self.model.priors;
        let cosine = |cosine: &ItemCosine, question: &Question<'_>| {
            cosine.list(question.cart.iter().copied(), COSINE_NEIGHBOURS, question.cart, LONGEST)
        };
        vec![
            Method::new(
                "categoryTop",
                "popular in the category",
                "the products in most baskets of those in a category of the cart; without categories, of all",
                |question| category_top(priors, question.cart, LONGEST),
            ),
            Method::new(
                "itemCosine",
                "item-item cosine, users",
                "the sum of the cosines, over users, to the products of the cart",
                move |question| cosine(&self.by_users, question),
            ),
            Method::new(
                "basketCosine",
                "item-item cosine, baskets",
                "the sum of the cosines, over baskets, to the products of the cart",
                move |question| cosine(&self.by_baskets, question),
            ),
            self.without_history(
                "visitorFormula",
                "hand formula, cart alone",
                "of a visitor without a history",
            ),
            self.formula("handFormula", "hand formula", "of the cart and the user's history"),
        ]
    }

    fn formula(&self, key: &'static str, name: &'static str, about: &'static str) -> Method<'_> {
        self.answer(key, name, about, None)
    }

    /// The list of an answer, with the rows that an answer reads.
    fn answer<'m>(
        &'m self,
        key: &'static str,
        name: &'static str,
        about: &'static str,
        ranker: Option<&'m Ranker>,
    ) -> Method<'m> {
        let mut lists = ListEvaluator::new(&self.model.priors).with_ranker(ranker);
        let rows = |product: ProductIx| self.model.rows.get(product.at());
        Method::new(key, name, about, move |question| {
            let of_cart = cart_rows(question.cart);
            let mut anchors = lists.anchors(question.history);
            anchors.truncate(ANCHORS - of_cart.len());
            let next = |product| rows(product).map(|rows: &ProductRows| &rows.next);
            let together = |product| rows(product).map(|rows| &rows.together);
            if question.cart.is_empty() {
                return lists.list_at(question.at_ms, question.history, &anchors, next, together);
            }
            let of_cart = |product| together(product).filter(|_| of_cart.contains(&product));
            lists.cart_list(question.history, &anchors, next, question.cart, of_cart)
        })
    }

    fn without_history(&self, key: &'static str, name: &'static str, about: &'static str) -> Method<'_> {
        let mut formula = self.formula(key, name, about);
        let nothing = History::default();
        Method::new(key, name, about, move |question| {
            formula.list(&Question { history: &nothing, ..*question })
        })
    }
}
