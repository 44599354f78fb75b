//! Plots as inline SVG: no script, colours from the page's style.

use std::fmt::Write;

use nextbasket_recommender::evaluate::{CUTOFFS, Estimate};

use super::html::escaped;

const WIDTH: f64 = 640.0;
/// The room for names on the left, and for values on the right.
const NAMES: f64 = 190.0;
const VALUES: f64 = 60.0;
const BAR: f64 = 26.0;

/// A named value; none if there was nothing to measure.
pub(super) struct Bar<'b> {
    pub(super) name: &'b str,
    pub(super) value: Option<Estimate>,
    /// The product's own.
    pub(super) is_own: bool,
}

/// Bars from zero, with whiskers for the intervals. `title` says what they are.
pub(super) fn bars(title: &str, bars: &[Bar<'_>]) -> String {
    let top =
        |estimate: &Estimate| estimate.interval.map_or(estimate.mean, |(_, high)| high.max(estimate.mean));
    let most = bars.iter().filter_map(|bar| bar.value.as_ref().map(top)).fold(0.0, f64::max);
    let scale = if most > 0.0 { (WIDTH - NAMES - VALUES) / most } else { 0.0 };
    let height = BAR * bars.len() as f64 + 8.0;
    let mut svg = opened(title, height);
    for (row, bar) in bars.iter().enumerate() {
        let y = BAR * row as f64 + 4.0;
        let middle = y + BAR / 2.0;
        let name = escaped(bar.name);
        let text = middle + 4.0;
        let _ = write!(svg, r#"<text x="{:.1}" y="{text:.1}" text-anchor="end">{name}</text>"#, NAMES - 8.0);
        let Some(estimate) = bar.value else {
            let _ =
                write!(svg, r#"<text x="{NAMES:.1}" y="{text:.1}" class="faint">nothing to measure</text>"#);
            continue;
        };
        let class = if bar.is_own { "own" } else { "other" };
        let _ = write!(
            svg,
            r#"<rect class="{class}" x="{NAMES:.1}" y="{:.1}" width="{:.1}" height="{:.1}"/>"#,
            y + 4.0,
            estimate.mean.max(0.0) * scale,
            BAR - 8.0
        );
        let mut end = estimate.mean;
        if let Some((low, high)) = estimate.interval {
            let (from, to) = (NAMES + low * scale, NAMES + high * scale);
            let _ = write!(svg, r#"<path class="line" d="M{from:.1} {middle:.1}H{to:.1}"/>"#);
            for x in [from, to] {
                let _ = write!(svg, r#"<path class="line" d="M{x:.1} {:.1}v8"/>"#, middle - 4.0);
            }
            end = end.max(high);
        }
        let _ = write!(
            svg,
            r#"<text x="{:.1}" y="{text:.1}">{:.3}</text>"#,
            NAMES + end * scale + 6.0,
            estimate.mean
        );
    }
    svg.push_str("</svg>");
    svg
}

/// A named line over the list lengths.
pub(super) struct Curve<'c> {
    pub(super) name: &'c str,
    pub(super) values: Vec<Option<f64>>,
    pub(super) is_own: bool,
}

const CURVE_HEIGHT: f64 = 260.0;

/// Lines over the list lengths, named at their ends.
pub(super) fn curves(title: &str, curves: &[Curve<'_>]) -> String {
    let (left, right, top, bottom) = (44.0, WIDTH - NAMES, 12.0, CURVE_HEIGHT - 28.0);
    let all = || curves.iter().flat_map(|curve| &curve.values).flatten();
    let most = all().copied().fold(0.0, f64::max);
    let y = |value: f64| if most > 0.0 { bottom - value / most * (bottom - top) } else { bottom };
    let x = |place: usize| left + (right - left) * place as f64 / (CUTOFFS.len() - 1) as f64;
    let mut svg = opened(title, CURVE_HEIGHT);
    let _ = write!(svg, r#"<path class="axis" d="M{left:.1} {top:.1}V{bottom:.1}H{right:.1}"/>"#);
    for share in [0.0, 0.5, 1.0] {
        let value = most * share;
        let _ = write!(
            svg,
            r#"<text x="{:.1}" y="{:.1}" text-anchor="end" class="faint">{value:.2}</text>"#,
            left - 6.0,
            y(value) + 4.0
        );
    }
    for (place, k) in CUTOFFS.iter().enumerate() {
        let _ = write!(
            svg,
            r#"<text x="{:.1}" y="{:.1}" text-anchor="middle" class="faint">{k}</text>"#,
            x(place),
            bottom + 18.0
        );
    }
    let mut ends: Vec<(f64, &Curve<'_>)> = Vec::new();
    for curve in curves {
        let points = curve.values.iter().enumerate();
        let points: Vec<(f64, f64)> =
            points.filter_map(|(place, value)| Some((x(place), y((*value)?)))).collect();
        let class = if curve.is_own { "own" } else { "other" };
        let mut path = String::new();
        for (at, (x, y)) in points.iter().enumerate() {
            let _ = write!(path, "{}{x:.1} {y:.1}", if at == 0 { 'M' } else { 'L' });
            let _ = write!(svg, r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="3"/>"#);
        }
        let _ = write!(svg, r#"<path class="curve {class}" d="{path}"/>"#);
        if let Some((_, y)) = points.last() {
            ends.push((*y, curve));
        }
    }
    // Names that would lie on each other move down.
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut free = 0.0_f64;
    for (y, curve) in ends {
        let at = y.max(free);
        free = at + 14.0;
        let _ =
            write!(svg, r#"<text x="{:.1}" y="{:.1}">{}</text>"#, right + 8.0, at + 4.0, escaped(curve.name));
    }
    svg.push_str("</svg>");
    svg
}

fn opened(title: &str, height: f64) -> String {
    let title = escaped(title);
    format!(
        r#"<svg viewBox="0 0 {WIDTH:.0} {height:.0}" role="img" aria-label="{title}"><title>{title}</title>"#
    )
}
