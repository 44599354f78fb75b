//! The report as a page: one file, no script, nothing from a network, light and dark.

use std::fmt::Write;

use nextbasket_recommender::evaluate::{CUTOFFS, Estimate, MeasuresAt, MethodReport};

use super::Evaluated;
use super::plots::{Bar, Curve, bars, curves};
use super::text::{Group, K, MARKS, mark, other_measures, with_interval};

const STYLE: &str = "\
:root{color-scheme:light dark;--back:#fff;--text:#1b1f24;--faint:#59636e;--edge:#d1d9e0;--own:#0969da;--other:#8c959f}\
@media(prefers-color-scheme:dark){:root{--back:#0d1117;--text:#e6edf3;--faint:#9198a1;--edge:#3d444d;--own:#4493f8;\
--other:#6e7681}}\
body{background:var(--back);color:var(--text);font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;\
padding:0 1rem}\
h2{margin-top:2.5rem;border-bottom:1px solid var(--edge)}\
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:.85rem}\
.wide{overflow-x:auto}\
th,td{text-align:right;padding:.25rem .6rem;border-bottom:1px solid var(--edge);white-space:nowrap}\
th:first-child,td:first-child{text-align:left}\
tr.own{font-weight:600}\
figure{margin:1rem 0}\
figcaption,.faint{color:var(--faint);fill:var(--faint)}\
svg{width:100%;height:auto;max-width:44rem;display:block;font-size:12px}\
text{fill:var(--text)}\
rect.own,circle.own{fill:var(--own)}\
rect.other,circle.other{fill:var(--other)}\
.curve{fill:none;stroke-width:2}\
.curve.own{stroke:var(--own)}\
.curve.other{stroke:var(--other)}\
.line,.axis{fill:none;stroke:var(--text)}\
.axis{stroke:var(--edge)}\
@media print{body{max-width:none}}";

/// Text in HTML, in an element or a quoted attribute.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

pub(super) fn page(evaluated: &Evaluated) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>How well the next purchase is predicted</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>How well the next purchase is predicted</h1>\n<p>{}</p>\n",
        escaped(&evaluated.summary())
    );
    for group in evaluated.groups() {
        section(&mut page, &group);
    }
    let _ = write!(page, "<p class=\"faint\">{}</p>\n</body>\n</html>\n", escaped(MARKS));
    page
}

fn section(page: &mut String, group: &Group<'_>) {
    let asked = group.report.asked;
    let _ = writeln!(page, "<section>\n<h2>{}</h2>", escaped(group.title));
    if asked == 0 {
        page.push_str("<p>There was none to ask.</p>\n</section>\n");
        return;
    }
    let _ = writeln!(
        page,
        "<p>{} {asked} were asked; the brackets and whiskers are 95 % intervals of {} samples of them.</p>",
        escaped(group.about),
        group.report.replicates
    );
    for measure in group.measures {
        let title = format!("{} at {K}", measure.name);
        figure(page, &title, &bars(&title, &bars_of(group, measure.of)));
    }
    let title = "nDCG by the length of the list";
    let curve = |(number, method): (usize, &MethodReport)| {
        (number, method.name, method.at.iter().map(|at| Some(at.ndcg?.mean)).collect())
    };
    let own = group.report.methods.len().saturating_sub(1);
    let lines: Vec<Curve<'_>> = group
        .report
        .methods
        .iter()
        .enumerate()
        .map(curve)
        .map(|(number, name, values)| Curve { name, values, is_own: number == own })
        .collect();
    figure(page, title, &curves(title, &lines));
    if group.has_history {
        for (name, of) in other_measures(group) {
            let title = format!("{name} at {K}");
            figure(page, &title, &bars(&title, &bars_of(group, of)));
        }
    }
    tables(page, group);
    page.push_str("</section>\n");
}

fn bars_of<'g>(group: &Group<'g>, of: fn(&MeasuresAt) -> Option<Estimate>) -> Vec<Bar<'g>> {
    let own = group.report.methods.len().saturating_sub(1);
    let bar = |(number, method): (usize, &'g MethodReport)| Bar {
        name: method.name,
        value: method.at(K).and_then(of),
        is_own: number == own,
    };
    group.report.methods.iter().enumerate().map(bar).collect()
}

fn figure(page: &mut String, title: &str, svg: &str) {
    let _ = writeln!(page, "<figure>{svg}<figcaption>{}</figcaption></figure>", escaped(title));
}

/// Everything that was measured, a table for each length.
fn tables(page: &mut String, group: &Group<'_>) {
    let others = other_measures(group);
    let own = group.report.methods.len().saturating_sub(1);
    for k in CUTOFFS {
        let _ = write!(page, "<h3>At {k}</h3>\n<div class=\"wide\"><table>\n<tr><th>Method</th>");
        let names =
            group.measures.iter().map(|measure| measure.name).chain(others.iter().map(|(name, _)| *name));
        names.for_each(|name| {
            let _ = write!(page, "<th>{}</th>", escaped(name));
        });
        let _ = writeln!(page, "<th>products of {}</th></tr>", group.report.products);
        for (number, method) in group.report.methods.iter().enumerate() {
            let Some(at) = method.at(k) else { continue };
            let class = if number == own { " class=\"own\"" } else { "" };
            let _ = write!(
                page,
                "<tr{class}><td title=\"{}\">{}</td>",
                escaped(method.about),
                escaped(method.name)
            );
            for measure in group.measures {
                let mark = mark((measure.advantage)(at)).trim();
                let value = (measure.of)(at).map_or_else(String::new, with_interval);
                let _ = write!(page, "<td>{value}{mark}</td>");
            }
            for (_, of) in &others {
                let _ = write!(page, "<td>{}</td>", of(at).map_or_else(String::new, with_interval));
            }
            let _ = writeln!(page, "<td>{}</td></tr>", at.coverage);
        }
        page.push_str("</table></div>\n");
    }
    page.push_str("<ul class=\"faint\">");
    for method in &group.report.methods {
        let _ = write!(page, "<li>{}: {}</li>", escaped(method.name), escaped(method.about));
    }
    page.push_str("</ul>\n");
}
