//! The picture of `docs/benchmarks.md`: what a policy costs on every row.

use std::fmt::Write as _;
use std::fs;

use workos_testbed::{Error, Result};

use super::rows::Cost;

/// Where it is written to.
const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/pictures/readers.svg");

/// In pixels; the names end where the bars begin.
const WIDTH: f64 = 880.0;
const BARS: f64 = 290.0;
const TOP: f64 = 92.0;
const STEP: f64 = 26.0;
const BAR: f64 = 16.0;
/// Of a factor of ten.
const DECADE: f64 = 130.0;
/// The axis ends there: 10 000 ns.
const DECADES: u32 = 4;

/// Light as it stands, dark where the reader's system is; drawn on whatever is behind it.
const STYLE: &str = "
text { font: 13px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: #1f2328; }
.title { font-size: 17px; font-weight: 600; }
.small { font-size: 11.5px; fill: #59636e; }
.grid { stroke: #d1d9e0; }
.ours { fill: #1a7f5a; }
.floor { fill: #8c959f; }
.others { fill: #c4682b; }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc; }
  .small { fill: #9198a1; }
  .grid { stroke: #3d444d; }
  .ours { fill: #3fb984; }
  .floor { fill: #7d8590; }
  .others { fill: #e08a4f; }
}";

/// Writes the picture. `machine` says what was measured when.
///
/// # Errors
/// The file cannot be written.
pub fn write(machine: &str, costs: &[Cost]) -> Result<()> {
    let mut bars: Vec<Bar<'_>> = costs.iter().filter_map(Bar::of).collect();
    bars.sort_by(|one, other| one.nanoseconds.total_cmp(&other.nanoseconds));
    let refused = |error| Error::Other(format!("the picture cannot be written: {error}"));
    fs::write(PATH, draw(machine, &bars)).map_err(refused)
}

struct Bar<'a> {
    name: &'a str,
    class: &'static str,
    nanoseconds: f64,
}

impl<'a> Bar<'a> {
    fn of(cost: &'a Cost) -> Option<Self> {
        let class = match cost.filter.call {
            call if call.starts_with("auth.") => "ours",
            call if call.starts_with("bench_c_") => "floor",
            _ => "others",
        };
        cost.filter.drawn.map(|name| Self { name, class, nanoseconds: cost.bare[0] })
    }
}

fn draw(machine: &str, bars: &[Bar<'_>]) -> String {
    let bottom = TOP + STEP * bars.len() as f64;
    let height = bottom + 54.0;
    let mut svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">
<title>What a policy costs on every row, in nanoseconds</title>
<style>{STYLE}
</style>
<text x="16" y="28" class="title">What a claim costs on every row of a policy</text>
<text x="16" y="48" class="small">nanoseconds per row, called bare, minimum; logarithmic: each line is ten times the one before</text>
"#
    );
    let legend = [("ours", "workos_auth"), ("floor", "floor"), ("others", "other ways")];
    for ((class, name), x) in legend.iter().zip([BARS, BARS + 116.0, BARS + 180.0]) {
        line(&mut svg, &format!(r#"<rect x="{x}" y="62" width="11" height="11" rx="2" class="{class}"/>"#));
        line(&mut svg, &format!(r#"<text x="{}" y="72" class="small">{name}</text>"#, x + 17.0));
    }
    for decade in 0..=DECADES {
        let x = BARS + DECADE * f64::from(decade);
        line(&mut svg, &format!(r#"<path d="M{x} {}V{}" class="grid"/>"#, TOP - 6.0, bottom + 2.0));
        let label = format!("{} ns", 10_u32.pow(decade));
        let y = bottom + 18.0;
        line(&mut svg, &format!(r#"<text x="{x}" y="{y}" class="small" text-anchor="middle">{label}</text>"#));
    }
    for (bar, y) in bars.iter().zip((0_u32..).map(|at| TOP + STEP * f64::from(at))) {
        // Nothing is drawn left of 1 ns; a sliver shows that there is something.
        let length = (bar.nanoseconds.max(1.0).log10() * DECADE).clamp(3.0, DECADE * f64::from(DECADES));
        let (text, end) = (y + 12.5, BARS + length + 7.0);
        line(
            &mut svg,
            &format!(r#"<text x="{}" y="{text}" text-anchor="end">{}</text>"#, BARS - 10.0, escaped(bar.name)),
        );
        let class = bar.class;
        line(
            &mut svg,
            &format!(r#"<rect x="{BARS}" y="{y}" width="{length:.1}" height="{BAR}" rx="2" class="{class}"/>"#),
        );
        line(&mut svg, &format!(r#"<text x="{end:.1}" y="{text}">{}</text>"#, number(bar.nanoseconds)));
    }
    line(&mut svg, &format!(r#"<text x="16" y="{}" class="small">{}</text>"#, height - 12.0, escaped(machine)));
    svg.push_str("</svg>\n");
    svg
}

fn line(svg: &mut String, element: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(svg, "{element}");
}

/// With a decimal where that tells something.
fn number(nanoseconds: f64) -> String {
    if nanoseconds < 100.0 { format!("{nanoseconds:.1}") } else { format!("{nanoseconds:.0}") }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
