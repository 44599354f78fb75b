//! A shop, and the page's calls.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use nextbasket_domain::Purchase;
use serde_json::{Value, json};

use crate::api::{Answer, World};

/// Long enough for what takes a moment, on a machine with much else to do.
const PATIENCE: Duration = Duration::from_secs(120);

/// A shop whose model was trained once.
pub(crate) async fn trained() -> World {
    let world = World::with_shop().await;
    world.train().await;
    world
}

impl World {
    /// Calls a route of the console with the session's secret.
    pub(crate) async fn console(&self, method: &str, path: &str, body: Value) -> Answer {
        let link = self.system.console_link();
        let secret = link.split_once("#session=").unwrap().1;
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let headers = [("x-nextbasket-session", secret), ("accept-language", "en")];
        self.send_with(method, &format!("/console/api/{path}"), &headers, body).await
    }

    /// The body of an answer that has to be 200.
    pub(crate) async fn console_ok(&self, method: &str, path: &str, body: Value) -> Value {
        let answer = self.console(method, path, body).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.body.unwrap()
    }

    pub(crate) async fn product(&self, id: &str) -> Value {
        self.console_ok("POST", "product", json!({ "productId": id })).await
    }

    pub(crate) async fn public(&self, target: &str) -> Value {
        let answer = self.send("GET", target, "").await;
        assert_eq!(answer.status, 200, "{target}: {answer:?}");
        answer.body.unwrap()
    }

    /// All purchases, by user in the order of time.
    pub(crate) async fn purchases(&self) -> BTreeMap<String, Vec<Purchase>> {
        let all = std::sync::Mutex::new(BTreeMap::<String, Vec<Purchase>>::new());
        let take = |purchase: Purchase| {
            all.lock().unwrap().entry(purchase.user_id.to_string()).or_default().push(purchase);
        };
        let damaged = self.tables().purchases().unwrap().scan(1, take).await.unwrap();
        assert_eq!(damaged, []);
        let mut all = all.into_inner().unwrap();
        all.values_mut().for_each(|purchases| purchases.sort_by_key(|purchase| purchase.purchased_at));
        all
    }

    /// Records purchases over HTTP, and waits until the histories have them.
    pub(crate) async fn buy(&self, user: &str, id: &str, at: &str, products: &[&str]) {
        let lines: Vec<Value> =
            products.iter().map(|product| json!({ "productId": product, "quantity": 1 })).collect();
        let purchase = json!({ "userId": user, "purchaseId": id, "purchasedAt": at, "lines": lines });
        let answer = self.send("POST", "/purchases", purchase.to_string()).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        self.system.drain(|_| ()).await.unwrap();
    }
}

/// Asks until the answer is as it is to be.
pub(crate) async fn until<F: Future<Output = Value>>(
    ask: impl Fn() -> F,
    fits: impl Fn(&Value) -> bool,
) -> Value {
    let start = Instant::now();
    loop {
        let found = ask().await;
        if fits(&found) {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "still {found:#}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub(crate) fn ids(list: &Value) -> Vec<String> {
    let items = list.as_array().unwrap_or_else(|| panic!("no list: {list}"));
    items.iter().map(|item| item["productId"].as_str().unwrap().to_owned()).collect()
}

/// An answer without its id, which is another one each time, and the cursor that holds it.
pub(crate) fn without_id(mut answer: Value) -> Value {
    let fields = answer.as_object_mut().unwrap();
    fields.remove("recommendationId").unwrap();
    fields.remove("cursor");
    answer
}
