//! `POST preview`: what lists become if a product is edited. Nothing is stored.

use std::collections::BTreeSet;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use futures::{StreamExt, TryStreamExt, stream};
use nextbasket_domain::{Category, Money, Product, ProductId, UserId, object};
use nextbasket_http::ApiError;
use recommendations::{AskedList, Relation, Supposition, window_name};
use serde::{Deserialize, Deserializer, Serialize};

use crate::Console;
use crate::answer::{Answer, Json};
use crate::mentions::MentionList;
use crate::product::{WINDOWS, card};

/// The length of each list.
const SHOWN: usize = 10;

/// The most shoppers and products whose lists are looked at.
const MAX_SHOPPERS: usize = 10;
const MAX_RELATED: usize = 10;

/// How many histories are read to find shoppers of the product.
const LOOKED_AT: u16 = 60;

/// How many lists are made at a time.
const AT_A_TIME: usize = 8;

pub(crate) fn routes() -> Router<Console> {
    Router::new().route("/preview", post(preview))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct PreviewQuestion {
    product_id: ProductId,
    #[serde(deserialize_with = "object::one")]
    change: ProductChange,
}

/// What is not given stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProductChange {
    #[serde(default, deserialize_with = "object::given")]
    available: Option<bool>,
    #[serde(default, deserialize_with = "object::given")]
    categories: Option<Vec<Category>>,
    /// `Some(None)` removes it.
    #[serde(default, deserialize_with = "price")]
    price: Option<Option<Money>>,
}

fn price<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Money>>, D::Error> {
    object::optional(deserializer).map(Some)
}

impl ProductChange {
    fn applied_to(self, product: &Product) -> Result<Product, ApiError> {
        let mut product = product.clone();
        if let Some(categories) = self.categories {
            Product::check_categories(&categories)
                .map_err(|error| ApiError::invalid("change.categories", error))?;
            product.categories = categories;
        }
        product.available = self.available.unwrap_or(product.available);
        product.price = self.price.unwrap_or(product.price);
        Ok(product)
    }
}

#[derive(Serialize)]
struct Preview {
    /// Those that hold the product before or after, and others that change; the ones that change first.
    lists: Vec<PreviewedList>,
}

#[derive(Serialize)]
struct PreviewedList {
    list: ListName,
    before: Vec<ListedProduct>,
    after: Vec<ListedProduct>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
enum ListName {
    Popular {
        window: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        category: Option<Category>,
    },
    Shopper {
        user_id: UserId,
    },
    Related {
        product_id: ProductId,
    },
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct ListedProduct {
    product_id: ProductId,
    name: String,
}

async fn preview(
    State(console): State<Console>,
    Json(PreviewQuestion { product_id, change }): Json<PreviewQuestion>,
) -> Answer<Preview> {
    let Some(before) = card(&console, &product_id).await?.into_product() else {
        let detail = format!(
            "product {:?} not found: only a product of the catalogue can be edited",
            product_id.as_str()
        );
        return Err(ApiError::not_found("product_not_found", detail).at("productId").into());
    };
    let after = change.applied_to(&before)?;
    let asked = lists_around(&console, &before, &after).await?;
    let (console, before, after) = (&console, &before, &after);
    let mut lists: Vec<PreviewedList> = stream::iter(asked)
        .map(|(list, asked)| async move {
            let before = shown(console, &asked, before).await?;
            let after = shown(console, &asked, after).await?;
            Ok::<_, ApiError>(PreviewedList { list, before, after })
        })
        .buffered(AT_A_TIME)
        .try_collect()
        .await?;
    let holds = |list: &[ListedProduct]| list.iter().any(|product| product.product_id == product_id);
    lists.retain(|list| list.before != list.after || holds(&list.before));
    lists.sort_by_key(|list| list.before == list.after);
    Ok(Json(Preview { lists }))
}

/// The list with the product as given.
async fn shown(
    console: &Console,
    list: &AskedList,
    product: &Product,
) -> Result<Vec<ListedProduct>, ApiError> {
    let supposition = Supposition { products: vec![product.clone()], ..Supposition::default() };
    let answer = console.lists.suppose(list, SHOWN, supposition, "").await?;
    let products = answer.products();
    Ok(products.map(|(id, name)| ListedProduct { product_id: id.clone(), name: name.to_owned() }).collect())
}

/// Lists that may hold the product.
async fn lists_around(
    console: &Console,
    before: &Product,
    after: &Product,
) -> Result<Vec<(ListName, AskedList)>, ApiError> {
    let mut lists = Vec::new();
    let categories: BTreeSet<&Category> = before.categories.iter().chain(&after.categories).collect();
    for category in [None].into_iter().chain(categories.into_iter().map(Some)) {
        for window in WINDOWS {
            let (category, name) = (category.cloned(), window_name(window).unwrap_or_default());
            let asked = AskedList::Popular { window, category: category.clone() };
            lists.push((ListName::Popular { window: name, category }, asked));
        }
    }
    for user_id in shoppers(console, &before.product_id).await? {
        let asked = AskedList::Shopper { user: Some(user_id.clone()), cart: Vec::new(), at: None };
        lists.push((ListName::Shopper { user_id }, asked));
    }
    for product_id in related(console, &before.product_id).await? {
        let asked = AskedList::Related { product: product_id.clone(), relation: Relation::Together };
        lists.push((ListName::Related { product_id }, asked));
    }
    Ok(lists)
}

/// Some shoppers, those who bought the product first.
async fn shoppers(console: &Console, product: &ProductId) -> Result<Vec<UserId>, ApiError> {
    let mut histories = console.histories()?.some(LOOKED_AT).await?.items;
    histories.sort_by(|(a, _), (b, _)| a.cmp(b));
    let without = |baskets: &[nextbasket_domain::Basket]| {
        !baskets.iter().any(|basket| basket.products.binary_search(product).is_ok())
    };
    histories.sort_by_key(|(_, history)| without(&history.baskets));
    Ok(histories.into_iter().take(MAX_SHOPPERS).map(|(user, _)| user).collect())
}

/// The product itself, and those in whose rows it stands first.
async fn related(console: &Console, product: &ProductId) -> Result<Vec<ProductId>, ApiError> {
    let mut related = vec![product.clone()];
    if let Some(model) = console.lists.model(None).await?
        && let Some(ix) = model.priors.index_of(product.as_str())
    {
        let mentions = console.kept().mentions.of(&console.models()?, &model, ix).await?;
        let together = mentions.into_iter().filter(|mention| mention.list == MentionList::Together);
        related.extend(together.map(|mention| mention.product_id).take(MAX_RELATED));
    }
    Ok(related)
}
