//! What is popular now: the whole shop's ranking, with no user.

use nextbasket_domain::ProductId;
use nextbasket_http::ApiError;
use nextbasket_recommender::{Priors, ProductIx, Window};

use crate::State;
use crate::answer::Answer;
use crate::ask::Ask;
use crate::fill::{Ranked, fill};
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
    let rank = |n: usize| {
        let Some(model) = &model else { return Vec::new() };
        let wanted = category_codes(&model.priors, ask);
        let popular = model.priors.popular(window).iter().copied();
        let fits = popular.filter(|&product| in_categories(&model.priors, wanted.as_deref(), product));
        fits.filter_map(|product| ranked(&model.priors, window, product)).take(n).collect()
    };
    fill(state, ask, &list, version, &[], rank).await
}

/// The product, by the share of baskets that hold it.
pub(crate) fn ranked(priors: &Priors, window: Window, product: ProductIx) -> Option<Ranked> {
    let score = priors.popularity(product, window);
    Some(Ranked {
        id: ProductId::parse(priors.id(product)).ok()?,
        score,
        reasons: vec![Reason::popular(score)],
    })
}
