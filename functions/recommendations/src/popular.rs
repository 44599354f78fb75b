//! What is popular now: the whole shop's ranking, with no user.

use std::sync::Arc;

use nextbasket_domain::ProductId;
use nextbasket_http::ApiError;
use nextbasket_recommender::{Priors, ProductIx, Window};

use crate::State;
use crate::answer::Answer;
use crate::ask::Ask;
use crate::fill::{Ranked, Ranking, fill};
use crate::live_model::LiveModel;
use crate::ranking::{category_codes, in_categories};
use crate::reason::Reason;

/// The window of a request that names none.
pub(crate) const DEFAULT_WINDOW: Window = Window::Week;

/// `day`, `week`, `month` or `all`: a purchase of this age counts half as much as one of today (`all`: as much).
pub(crate) fn parse_window(text: &str) -> Result<Window, &'static str> {
    match text {
        "day" => Ok(Window::Day),
        "week" => Ok(Window::Week),
        "month" => Ok(Window::Month),
        "all" => Ok(Window::AllTime),
        _ => Err("must be day, week, month or all"),
    }
}

/// Answers with the most popular products of the window.
pub(crate) async fn answer(state: &State, window: Window, ask: &Ask) -> Result<Answer, ApiError> {
    let model = state.models.live().await?;
    let list = format!("popular/{window:?}");
    let version = model.as_ref().map(|model| model.pointer.version);
    fill(state, ask, &list, version, &[], &Popular { model, window, ask }).await
}

struct Popular<'a> {
    /// `None` before the first training.
    model: Option<Arc<LiveModel>>,
    window: Window,
    ask: &'a Ask,
}

impl Ranking for Popular<'_> {
    /// The share of baskets.
    type Why = f64;

    fn best(&self, n: usize) -> Vec<Ranked<f64>> {
        let Some(model) = &self.model else { return Vec::new() };
        let wanted = category_codes(&model.priors, self.ask);
        let popular = model.priors.popular(self.window).iter().copied();
        let fits = popular.filter(|&product| in_categories(&model.priors, wanted.as_deref(), product));
        fits.filter_map(|product| ranked(&model.priors, self.window, product)).take(n).collect()
    }

    fn reasons(&self, popularity: &f64) -> Vec<Reason> {
        vec![Reason::popular(*popularity, self.window)]
    }
}

/// The product, by the share of baskets that hold it.
pub(crate) fn ranked(priors: &Priors, window: Window, product: ProductIx) -> Option<Ranked<f64>> {
    let score = priors.popularity(product, window);
    Some(Ranked { id: ProductId::parse(priors.id(product)).ok()?, score, why: score })
}
