//! The catalogue, ready to be bought from.

use std::collections::{BTreeMap, HashMap};

use nextbasket_domain::{Category, Currency, Line, Money, Product, ProductId};

use crate::calendar::Calendar;
use crate::catalogue::{CATALOGUE, CatalogueItem, Season, Stock};
use crate::dice::Dice;
use crate::pairs::{LEADS, Pair};

/// Products that are gone have not been sold for so many days.
const GONE_DAYS: u32 = 45;
/// New products are known for so many days.
const NEW_DAYS: u32 = 3;

/// The index of a product in the catalogue.
pub(crate) type GoodIndex = usize;

pub(crate) struct Goods {
    indexes: HashMap<&'static str, GoodIndex>,
    shelves: HashMap<&'static str, Vec<GoodIndex>>,
    pairs: HashMap<GoodIndex, Vec<(&'static Pair, GoodIndex)>>,
    goods: Vec<Good>,
}

struct Good {
    item: &'static CatalogueItem,
    product_id: ProductId,
    price: Option<Money>,
}

impl Goods {
    pub(crate) fn new() -> Self {
        let currency = Currency::parse("EUR").ok();
        let goods: Vec<Good> = CATALOGUE
            .iter()
            .filter_map(|item| {
                let price = currency.and_then(|currency| Money::new(i64::from(item.cents), currency).ok());
                Some(Good { item, product_id: ProductId::parse(&item.id).ok()?, price })
            })
            .collect();
        let indexes: HashMap<_, _> =
            goods.iter().enumerate().map(|(index, good)| (good.item.id.as_str(), index)).collect();
        let mut shelves: HashMap<_, Vec<GoodIndex>> = HashMap::new();
        for (index, good) in goods.iter().enumerate() {
            shelves.entry(good.item.shelf.as_str()).or_default().push(index);
        }
        let mut pairs: HashMap<_, Vec<_>> = HashMap::new();
        for lead in LEADS.iter() {
            for from in lead.from.iter().filter_map(|from| indexes.get(from.as_str())) {
                let to = |pair: &'static Pair| Some((pair, *indexes.get(pair.to.as_str())?));
                pairs.entry(*from).or_default().extend(lead.leads_to.iter().filter_map(to));
            }
        }
        Self { indexes, shelves, pairs, goods }
    }

    pub(crate) fn index_of(&self, id: &str) -> Option<GoodIndex> {
        self.indexes.get(id).copied()
    }

    /// Whether the product is on sale on a day.
    pub(crate) fn is_sold(&self, index: GoodIndex, day: u32, calendar: &Calendar) -> bool {
        self.goods.get(index).is_some_and(|good| match good.item.stock {
            Stock::Sold => true,
            Stock::Gone => day + GONE_DAYS < calendar.days(),
            Stock::New => false,
        })
    }

    /// How much the product is wanted in a month, in tenths of the usual.
    pub(crate) fn season(&self, index: GoodIndex, month: u32) -> u32 {
        self.goods.get(index).map_or(0, |good| good.item.season.pull(month))
    }

    /// Something from the shelves that one looks at, by the season.
    pub(crate) fn browse(
        &self,
        looks_at: &[(String, u32)],
        day: u32,
        calendar: &Calendar,
        dice: &mut Dice,
    ) -> Option<GoodIndex> {
        let month = calendar.month(day);
        let mut weights = Vec::with_capacity(self.goods.len());
        for (shelf, weight) in looks_at {
            for index in self.shelves.get(shelf.as_str()).into_iter().flatten() {
                let Some(good) = self.goods.get(*index).filter(|_| self.is_sold(*index, day, calendar))
                else {
                    continue;
                };
                weights.push((*index, weight * u32::from(good.item.pull) * good.item.season.pull(month)));
            }
        }
        dice.pick(weights.iter().copied())
    }

    /// What buying the product leads to.
    pub(crate) fn pairs(&self, index: GoodIndex) -> &[(&'static Pair, GoodIndex)] {
        self.pairs.get(&index).map(Vec::as_slice).unwrap_or_default()
    }

    pub(crate) fn line(&self, index: GoodIndex, quantity: u32) -> Option<Line> {
        let good = self.goods.get(index)?;
        Some(Line { product_id: good.product_id.clone(), quantity, unit_price: good.price })
    }

    pub(crate) fn products(&self, calendar: &Calendar) -> Vec<Product> {
        let newest = calendar.days_ago(NEW_DAYS).unwrap_or_default();
        let product = |good: &Good| {
            let seasonal = (good.item.season != Season::Always).then_some("Seasonal");
            let names = std::iter::once(good.item.shelf.as_str()).chain(seasonal);
            Product {
                product_id: good.product_id.clone(),
                name: good.item.name.clone(),
                categories: names.filter_map(|name| Category::parse(name).ok()).collect(),
                price: good.price,
                available: good.item.stock != Stock::Gone,
                attributes: BTreeMap::new(),
                updated_at: calendar.start(if good.item.stock == Stock::New { newest } else { 0 }),
            }
        };
        self.goods.iter().map(product).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::heroes::HEROES;
    use crate::personas::PERSONAS;

    #[test]
    fn every_product_that_is_spoken_of_is_in_the_catalogue() {
        let goods = Goods::new();
        let items = CATALOGUE.len();
        assert_eq!((goods.goods.len(), goods.indexes.len()), (items, items));
        let regulars = &PERSONAS.regulars;
        let habits = regulars.iter().flat_map(|persona| &persona.habits).flat_map(|habit| &habit.picks);
        let starts = regulars.iter().flat_map(|persona| &persona.starts);
        let pairs =
            LEADS.iter().flat_map(|lead| lead.from.iter().chain(lead.leads_to.iter().map(|pair| &pair.to)));
        let heroes = HEROES.iter().flat_map(|hero| &hero.routines).flat_map(|routine| &routine.items);
        let ids = habits.chain(starts).chain(heroes).map(|(id, _)| id).chain(pairs);
        for id in ids {
            assert!(goods.index_of(id).is_some(), "{id}");
        }
        let looks_at = regulars.iter().flat_map(|persona| &persona.looks_at);
        for (shelf, _) in looks_at.chain(&PERSONAS.visitors_look_at) {
            assert!(goods.shelves.contains_key(shelf.as_str()), "{shelf}");
        }
    }

    #[test]
    fn nothing_leads_back_to_itself() {
        fn leads(from: &str, to: &str, steps: usize) -> bool {
            let next = LEADS.iter().filter(|lead| lead.from.iter().any(|id| id == from));
            let mut next = next.flat_map(|lead| &lead.leads_to);
            steps > 0 && next.any(|pair| pair.to == to || leads(&pair.to, to, steps - 1))
        }
        for pair in LEADS.iter().flat_map(|lead| &lead.leads_to) {
            assert!(!leads(&pair.to, &pair.to, 8), "{}", pair.to);
        }
    }
}
