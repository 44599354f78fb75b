//! Purchases, histories, answers; and erasure.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use nextbasket_domain::{Purchase, UserId};
use nextbasket_testkit::Seeded;
use nextbasket_testkit::events::ApiAnswer;
use serde_json::{Value, json};

use super::answers::{self, Ask, ask};
use super::streams::Stream;
use super::{histories, shop};
use crate::faults::mixed;
use crate::world::broken;
use crate::{Checked, World, ensure};

/// After this, requests that were late have arrived, and what functions have cached is read again.
const SETTLED: Duration = Duration::from_secs(120);

/// What is there by what clients were told: users, their purchases.
type Truth = RefCell<BTreeMap<String, BTreeMap<String, Purchase>>>;

pub(super) async fn buy(world: &World) -> Checked {
    let stream = Stream::open(world).await?;
    let truth: Truth = RefCell::default();
    let users: Vec<String> = (0..1 + world.below(3)).map(|n| world.named(&format!("user-{n}"))).collect();
    let (tell, told) = tokio::sync::watch::channel(false);
    let clients = async {
        let clients = (0..1 + world.below(2)).map(|client| shopping(world, &users, &truth, client));
        let ended = futures::future::try_join_all(clients).await;
        tell.send_replace(true);
        ended.map(drop)
    };
    futures::future::try_join(clients, stream.deliver(&told)).await?;
    tokio::time::sleep(SETTLED).await;
    let truth = truth.into_inner();
    let nothing = BTreeMap::new();
    for user in &users {
        compare(world, user, truth.get(user).unwrap_or(&nothing)).await?;
    }
    Ok(())
}

/// Checks that the tables and the answers agree with what was acknowledged.
async fn compare(world: &World, user: &str, wanted: &BTreeMap<String, Purchase>) -> Checked {
    let tables = world.live_tables(world.observer());
    let stored = stored(world, user).await?;
    ensure!(
        stored.iter().collect::<Vec<_>>() == wanted.iter().collect::<Vec<_>>(),
        "{user} has {:?} stored, was told {:?}",
        stored.keys(),
        wanted.keys()
    );
    histories::check(&tables, user, wanted.values()).await?;
    answers::check(world, user, &wanted.values().cloned().collect::<Vec<_>>()).await
}

async fn stored(world: &World, user: &str) -> Checked<BTreeMap<String, Purchase>> {
    let id = UserId::parse(user).map_err(broken)?;
    let table = world.live_tables(world.observer()).purchases().map_err(broken)?;
    let stored = table.newest(&id).await.map_err(broken)?;
    Ok(stored.items.into_iter().map(|purchase| (purchase.purchase_id.to_string(), purchase)).collect())
}

/// One client: it waits for each answer before the next request, and its purchases have their own ids.
async fn shopping(world: &World, users: &[String], truth: &Truth, client: u64) -> Checked {
    let mut mine: Vec<Purchase> = Vec::new();
    for n in 0..3 + world.below(8) {
        let user = &users[world.some(users.len())];
        match world.below(10) {
            0..=4 => {
                let id = format!("c{client}-{n}");
                let purchase = made(world, user, &id);
                let answer = ask(world, &post(&purchase)).await?;
                taken(&purchase, &answer)?;
                note(truth, &purchase);
                mine.push(purchase);
            }
            5 if !mine.is_empty() => {
                // The same purchase again, and other content under the same id.
                let known = mine[world.some(mine.len())].clone();
                let there = has(truth, &known);
                let mut other = known.clone();
                other.lines[0].quantity += 1;
                if there {
                    taken(&known, &ask(world, &post(&known)).await?)?;
                    let answer = ask(world, &post(&other)).await?;
                    ensure!(
                        answer.status == 409,
                        "other content under {} was answered {}",
                        other.purchase_id,
                        answer.status
                    );
                }
            }
            6 | 7 if !mine.is_empty() => {
                let gone = mine[world.some(mine.len())].clone();
                let request = Ask::new("DELETE /users/{userId}/purchases/{purchaseId}")
                    .of("userId", gone.user_id.as_str())
                    .of("purchaseId", gone.purchase_id.as_str());
                let answer = ask(world, &request).await?;
                ensure!(answer.status == 204, "a cancellation was answered {}", answer.status);
                let mut truth = truth.borrow_mut();
                truth.entry(gone.user_id.to_string()).or_default().remove(gone.purchase_id.as_str());
            }
            8 => {
                let request = Ask::new("GET /users/{userId}/purchases").of("userId", user).query("limit=100");
                let answer = ask(world, &request).await?;
                let all = answer.body["items"].as_array().cloned().unwrap_or_default();
                let mine = mine.iter().filter(|known| known.user_id.as_str() == user && has(truth, known));
                for known in mine {
                    let id = json!(known.purchase_id.as_str());
                    ensure!(
                        all.iter().any(|item| item["purchaseId"] == id),
                        "{id} was acknowledged and is not in the list: {}",
                        answer.body
                    );
                }
            }
            _ => {
                let request = Ask::new("GET /users/{userId}/recommendations").of("userId", user);
                let answer = ask(world, &request).await?;
                let items = answer.body["items"].as_array().map_or(0, Vec::len);
                ensure!(answer.status == 200 && items > 0, "{}: {}", answer.status, answer.body);
            }
        }
        world.pause(300).await;
    }
    Ok(())
}

fn made(world: &World, user: &str, id: &str) -> Purchase {
    let mut chance = Seeded(mixed(&[world.seed, world.below(u64::MAX)]));
    shop::purchase(&mut chance, user, id, world.clock.now().as_millis())
}

fn post(purchase: &Purchase) -> Ask {
    let body = serde_json::to_value(purchase).unwrap_or(Value::Null);
    Ask::new("POST /purchases").body(body)
}

fn taken(purchase: &Purchase, answer: &ApiAnswer) -> Checked {
    let fits = matches!(answer.status, 200 | 201)
        && answer.body == serde_json::to_value(purchase).map_err(broken)?;
    ensure!(fits, "{} was answered {}: {}", purchase.purchase_id, answer.status, answer.body);
    Ok(())
}

fn note(truth: &Truth, purchase: &Purchase) {
    let mut truth = truth.borrow_mut();
    let of_user = truth.entry(purchase.user_id.to_string()).or_default();
    of_user.insert(purchase.purchase_id.to_string(), purchase.clone());
}

fn has(truth: &Truth, purchase: &Purchase) -> bool {
    let truth = truth.borrow();
    let of_user = truth.get(purchase.user_id.as_str());
    of_user.is_some_and(|known| known.contains_key(purchase.purchase_id.as_str()))
}

pub(super) async fn erase(world: &World) -> Checked {
    let stream = Stream::open(world).await?;
    let (erased, other) = (world.named("erased"), world.named("other"));
    let truth: Truth = RefCell::default();
    let table = world.live_tables(world.observer()).purchases().map_err(broken)?;
    for n in 0..world.below(40) {
        let user = if world.below(4) == 0 { &other } else { &erased };
        let purchase = made(world, user, &format!("before-{n}"));
        table.record(&purchase).await.map_err(broken)?;
        note(&truth, &purchase);
    }
    let buys_again = world.below(2) == 0;
    let (tell, told) = tokio::sync::watch::channel(false);
    // Purchases made before the erasure was requested, while it ran, and after it was answered.
    let after = RefCell::new(BTreeMap::new());
    // Soon after the first purchases, or when their histories have long been there.
    let most = if world.below(2) == 0 { 200 } else { 2_000 };
    let erasing_user = async {
        world.pause(most).await;
        for _ in 0..1 + world.below(2) {
            let answer = ask(world, &Ask::new("DELETE /users/{userId}").of("userId", &erased)).await?;
            ensure!(answer.status == 202, "an erasure was answered {}: {}", answer.status, answer.body);
        }
        Ok(())
    };
    let buying = async {
        for n in 0..if buys_again { 1 + world.below(5) } else { 0 } {
            world.pause(1_500).await;
            let purchase = made(world, &erased, &format!("again-{n}"));
            taken(&purchase, &ask(world, &post(&purchase)).await?)?;
        }
        Ok(())
    };
    let clients = async {
        futures::future::try_join(erasing_user, buying).await?;
        // Only purchases made from now on must be there at the end.
        for n in 0..world.below(3) {
            let purchase = made(world, &erased, &format!("after-{n}"));
            taken(&purchase, &ask(world, &post(&purchase)).await?)?;
            after.borrow_mut().insert(purchase.purchase_id.to_string(), purchase);
        }
        tell.send_replace(true);
        Ok(())
    };
    futures::future::try_join(clients, stream.deliver(&told)).await?;
    tokio::time::sleep(SETTLED).await;
    let left = stored(world, &erased).await?;
    for (id, purchase) in &left {
        ensure!(!id.starts_with("before"), "{id} was erased and is there: {purchase:?}");
    }
    for id in after.into_inner().keys() {
        ensure!(left.contains_key(id), "{id} was bought after the erasure and is gone");
    }
    compare(world, &erased, &left).await?;
    let truth = truth.into_inner();
    let nothing = BTreeMap::new();
    compare(world, &other, truth.get(&other).unwrap_or(&nothing)).await
}
