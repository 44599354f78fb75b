//! The console: the page for a browser, and the routes under `/console/api` that only this page needs.
//!
//! The page is static and part of the binary ([`assets`]); everything else it shows comes from the public API and from
//! these routes. All of them require the [session](session)'s secret, which the command prints.
//!
//! | module | holds |
//! |---|---|
//! | [`parts`] | [`ConsoleParts`]: what the handlers share |
//! | [`session`] | the secret, who may call, `GET session` |
//! | [`assets`] | the page's files and their headers |
//! | [`answer`], `request_parts` | JSON in and out, errors as problem details |
//! | `overview`, [`metrics`] | what needs attention; what the functions measured |
//! | `shopper`, `lists`, `product`, `statistics`, `preview`, `models` | the shop as the recommender sees it |
//! | `mentions` | in which products' rows a product appears |
//! | `kept` | the shop's tables, and what is kept between requests |
//! | `kinds`, `jobs`, `tables`, `dumps`, `locks`, `uploads` | the tables and the work on them |

pub mod answer;
pub mod assets;
mod dumps;
mod jobs;
mod kept;
mod kinds;
mod lists;
mod locks;
mod mentions;
pub mod metrics;
mod models;
mod overview;
pub mod parts;
mod preview;
mod product;
mod request_parts;
pub mod session;
mod shopper;
mod statistics;
mod tables;
mod uploads;

use std::ops::Deref;
use std::sync::Arc;

use axum::Router;
use axum::middleware;
use axum::routing::any;

use kept::Kept;
pub use parts::{ConsoleParts, Place, PlaceKind};
pub use session::SessionSecret;

/// The console of one deployment. Handlers take it as axum's `State` and use its parts through it.
#[derive(Clone)]
pub struct Console(Arc<Shared>);

/// The parts, and what modules keep between requests.
struct Shared {
    parts: ConsoleParts,
    jobs_seen: overview::JobCache,
    tables_seen: overview::TableCache,
    kept: Kept,
}

impl Deref for Console {
    type Target = ConsoleParts;

    fn deref(&self) -> &ConsoleParts {
        &self.0.parts
    }
}

impl Console {
    #[must_use]
    pub fn new(parts: ConsoleParts) -> Self {
        let (jobs_seen, tables_seen) = (overview::JobCache::default(), overview::TableCache::default());
        Self(Arc::new(Shared { parts, jobs_seen, tables_seen, kept: Kept::default() }))
    }

    pub(crate) fn kept(&self) -> &Kept {
        &self.0.kept
    }

    /// Everything at `/` and below `/console`.
    pub fn router(&self) -> Router {
        let api = Router::new()
            .merge(session::routes())
            .merge(overview::routes())
            .merge(shopper::routes())
            .merge(lists::routes())
            .merge(product::routes())
            .merge(statistics::routes())
            .merge(preview::routes())
            .merge(models::routes())
            .merge(kinds::routes())
            .merge(jobs::routes())
            .merge(tables::routes())
            .merge(dumps::routes())
            .merge(locks::routes())
            .merge(uploads::routes())
            .fallback(answer::unknown_route)
            .method_not_allowed_fallback(answer::unknown_method)
            .layer(middleware::from_fn_with_state(self.clone(), session::require));
        Router::new()
            .nest("/console/api", api)
            .route("/console/api/", any(answer::unknown_route))
            .merge(assets::routes())
            .layer(middleware::map_response(assets::protect))
            .with_state(self.clone())
    }
}
