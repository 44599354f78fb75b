//! The kinds on the shop's tables.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::num::NonZero;

use nextbasket_domain::{ProductId, Purchase, UserId};
use nextbasket_recommender::{DatasetBuilder, Params};
use nextbasket_tables::{Consistency, Tables};
use nextbasket_testkit::Seeded;
use serde_json::json;

use super::{histories, items, shop};
use crate::jobs::{self, counts, run_without_faults};
use crate::world::{broken, sent};
use crate::{Checked, Violation, World, ensure};

/// Empties the tables that jobs work on.
pub(crate) async fn clean(world: &World) -> Checked {
    let names = world.names().work.clone();
    for (table, keys) in [
        (names.products, ["productId", ""]),
        (names.purchases, ["userId", "purchaseId"]),
        (names.history, ["userId", ""]),
        (names.model, ["productId", "slot"]),
    ] {
        let table = table.unwrap_or_default();
        for item in items::all(world, &table).await? {
            let key = item.into_iter().filter(|(name, _)| keys.contains(&name.as_str())).collect();
            let delete = world.observer().dynamodb.delete_item().table_name(&table).set_key(Some(key));
            sent(delete.send()).await?;
        }
    }
    Ok(())
}

async fn bought(world: &World, users: u64) -> Checked<Vec<Purchase>> {
    let table = world.work_tables(world.observer()).purchases().map_err(broken)?;
    let mut chance = Seeded(world.below(u64::MAX));
    let mut all = Vec::new();
    for user in 0..users {
        for n in 0..1 + world.below(4) {
            let now = world.clock.now().as_millis();
            let purchase = shop::purchase(&mut chance, &format!("u{user}"), &format!("b{n}"), now);
            table.record(&purchase).await.map_err(broken)?;
            all.push(purchase);
        }
    }
    Ok(all)
}

pub(super) async fn rebuild_history(world: &World) -> Checked {
    clean(world).await?;
    let tables = world.work_tables(world.observer());
    let all = bought(world, 1 + world.below(10)).await?;
    let users: BTreeSet<&str> = all.iter().map(|purchase| purchase.user_id.as_str()).collect();
    // Some histories are right, some are old, and some are all that is left of their users.
    let (history, purchases) = (tables.history().map_err(broken)?, tables.purchases().map_err(broken)?);
    for user in &users {
        let id = UserId::parse(user).map_err(broken)?;
        if world.below(2) == 0 {
            history.refresh(&id, &purchases).await.map_err(broken)?;
        }
    }
    let gone: Vec<String> = (0..world.below(3)).map(|n| format!("gone-{n}")).collect();
    for user in &gone {
        let mut left = all[0].clone();
        left.user_id = UserId::parse(user).map_err(broken)?;
        purchases.record(&left).await.map_err(broken)?;
        history.refresh(&left.user_id, &purchases).await.map_err(broken)?;
        purchases.remove(&left.user_id, &left.purchase_id).await.map_err(broken)?;
    }
    let parameters = json!({ "segments": 1 + world.below(4), "width": 1 + world.below(3) });
    if let Some(result) = jobs::run(world, "rebuild-history", parameters).await? {
        for user in &users {
            let of_user = all.iter().filter(|purchase| purchase.user_id.as_str() == *user);
            histories::check(&tables, user, of_user).await?;
        }
        for user in &gone {
            histories::check(&tables, user, []).await?;
        }
        let [found] = counts(&result, ["users"])?;
        ensure!(found >= users.len() as u64, "{} users: {result}", users.len());
    }
    Ok(())
}

pub(super) async fn refresh_popular(world: &World) -> Checked {
    clean(world).await?;
    let all = bought(world, 1 + world.below(10)).await?;
    let parameters = json!({ "segments": 1 + world.below(4) });
    if let Some(result) = jobs::run(world, "refresh-popular", parameters.clone()).await? {
        let products: BTreeSet<&ProductId> =
            all.iter().flat_map(|purchase| purchase.lines.iter().map(|line| &line.product_id)).collect();
        let [purchases] = counts(&result, ["purchases"])?;
        ensure!(purchases == all.len() as u64, "{} purchases: {result}", all.len());
        let listed = result["lists"]["all"].as_u64();
        ensure!(listed == Some(products.len() as u64), "{} products: {result}", products.len());
        let made = lists(world).await?;
        // The same job without faults.
        run_without_faults(world, "refresh-popular", parameters).await?;
        let same = lists(world).await?;
        ensure!(made == same, "the lists say {made:?}, and without faults {same:?}");
    }
    Ok(())
}

async fn lists(world: &World) -> Checked<Vec<String>> {
    let popular = world.work_tables(world.observer()).popular().map_err(broken)?;
    let mut lists = Vec::new();
    for window in ["day", "week", "month", "all"] {
        let list = popular.list(window).await.map_err(broken)?;
        let list = list.ok_or_else(|| Violation(format!("there is no list of the window {window}")))?;
        lists.extend(list.products.iter().map(|product| format!("{window} {product:?}")));
    }
    Ok(lists)
}

pub(super) async fn train(world: &World) -> Checked {
    clean(world).await?;
    let all = bought(world, 5 + world.below(12)).await?;
    let segments = 1 + world.below(3);
    let parameters = json!({ "segments": segments, "productBlocks": 1 + world.below(3) });
    if jobs::run(world, "train", parameters).await?.is_some() {
        let tables = world.work_tables(world.observer());
        let stored = model(&tables, &all).await?;
        let trained = trained(&all)?;
        ensure!(stored == trained, "the model in the table is not that of the purchases");
    }
    Ok(())
}

/// A model's rows by product, and its priors.
type Stored = (BTreeMap<String, Vec<u8>>, Vec<Vec<u8>>);

/// Reads the live model, with the rows of all products in these purchases.
async fn model(tables: &Tables, all: &[Purchase]) -> Checked<Stored> {
    let model = tables.model().map_err(broken)?;
    let pointer = model.pointer().await.map_err(broken)?;
    let pointer =
        pointer.ok_or_else(|| Violation("the job has succeeded, and no model is live".to_owned()))?;
    let products: BTreeSet<ProductId> =
        all.iter().flat_map(|purchase| purchase.lines.iter().map(|line| line.product_id.clone())).collect();
    let products: Vec<ProductId> = products.into_iter().collect();
    let rows = model.rows(&pointer, &products, Consistency::Strong).await.map_err(broken)?;
    let priors = model.priors(&pointer).await.map_err(broken)?;
    let rows = rows.items.into_iter().map(|row| (row.product_id.to_string(), row.row)).collect();
    Ok((rows, priors.unwrap_or_default().priors))
}

/// The model that one thread trains from the purchases, without tables, jobs and objects.
fn trained(all: &[Purchase]) -> Checked<Stored> {
    let mut builder = DatasetBuilder::new();
    for purchase in all {
        let products = purchase.lines.iter().map(|line| line.product_id.as_str());
        let at = purchase.purchased_at.as_millis();
        builder
            .push(purchase.user_id.as_str(), purchase.purchase_id.as_str(), at, products)
            .map_err(broken)?;
    }
    let dataset = builder.build().map_err(broken)?;
    let threads = NonZero::new(1).ok_or_else(|| broken("no thread"))?;
    let model = nextbasket_recommender::train(&dataset, &Params::default(), threads, &|_| Vec::new());
    let model = model.map_err(broken)?;
    let rows =
        model.rows.iter().map(|rows| (model.priors.id(rows.product).to_owned(), rows.encode())).collect();
    Ok((rows, model.priors.encode(380_000).map_err(broken)?))
}

pub(super) async fn import(world: &World) -> Checked {
    clean(world).await?;
    let mut csv = "user_id,product_id,timestamp,quantity,price,product_name,basket_id\n".to_owned();
    let (mut wanted, mut bad) = (BTreeMap::<(String, String), BTreeMap<String, u32>>::new(), 0);
    for n in 0..1 + world.below(30) {
        let (user, basket) = (format!("u{}", n % 5), format!("b{}", n / 2));
        let (product, day) = (shop::product(world.below(shop::PRODUCTS)), 1 + n / 2 % 28);
        match world.below(8) {
            0 => {
                bad += 1;
                let _ = writeln!(csv, "{user},{product},yesterday,1,1.50,Thing,{basket}");
            }
            1 => {
                bad += 1;
                let _ = writeln!(csv, ",{product},2026-01-{day:02}T10:00:00,1,1.50,Thing,{basket}");
            }
            _ => {
                let key = (user.clone(), basket.clone());
                // A product appears once in a basket, so that no lines have to be merged.
                if wanted.get(&key).is_some_and(|lines| lines.contains_key(&product)) {
                    continue;
                }
                let quantity = 1 + u32::try_from(world.below(3)).unwrap_or(0);
                wanted.entry(key).or_default().insert(product.clone(), quantity);
                let _ = writeln!(
                    csv,
                    "{user},{product},2026-01-{day:02}T10:00:00,{quantity},1.50,Product {product},{basket}"
                );
            }
        }
    }
    let source = items::put_object(world, &world.named("import.csv"), csv).await?;
    let histories = world.below(2) == 0;
    let parameters = json!({ "source": source, "batchItems": 1 + world.below(6), "histories": histories });
    let result = jobs::run(world, "import", parameters.clone()).await?;
    let table = world.work_tables(world.observer()).purchases().map_err(broken)?;
    let mut stored = BTreeMap::<(String, String), BTreeMap<String, u32>>::new();
    let mut purchases: Vec<Purchase> = Vec::new();
    for user in (0..5).map(|n| format!("u{n}")) {
        let newest = table.newest(&UserId::parse(&user).map_err(broken)?).await.map_err(broken)?;
        for purchase in newest.items {
            let lines =
                purchase.lines.iter().map(|line| (line.product_id.to_string(), line.quantity)).collect();
            stored.insert((user.clone(), purchase.purchase_id.to_string()), lines);
            purchases.push(purchase);
        }
    }
    let Some(result) = result else {
        for (key, lines) in &stored {
            ensure!(wanted.get(key) == Some(lines), "purchase {key:?} is not the file's: {lines:?}");
        }
        return Ok(());
    };
    ensure!(stored == wanted, "the table has {stored:?}, the file {wanted:?}");
    let taken: u64 = wanted.values().map(|lines| lines.len() as u64).sum();
    ensure!(
        counts(&result, ["taken", "refused"])? == [taken, bad],
        "{taken} lines are good and {bad} are not: {result}"
    );
    let fields = ["newPurchases", "knownPurchases", "differingPurchases"];
    let [new, known, differing] = counts(&result["written"], fields)?;
    ensure!(new + known == wanted.len() as u64 && differing == 0, "{} purchases: {result}", wanted.len());
    if histories {
        for user in (0..5).map(|n| format!("u{n}")) {
            let of_user = purchases.iter().filter(|purchase| purchase.user_id.as_str() == user);
            histories::check(&world.work_tables(world.observer()), &user, of_user).await?;
        }
    }
    Ok(())
}
