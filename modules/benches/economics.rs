//! `make economics`: plays every attack on the market's money over months of chain time in the real
//! state machine, prints what came of each, and draws it into `docs/economics/`.
//!
//! `cargo bench -p plasma-modules --bench economics -- [--days 60] [--seed 7] [--only wash]`
#![allow(clippy::disallowed_types, reason = "a drawing is no consensus")]

use std::{fmt::Write as _, fs, path::PathBuf, thread};

use plotters::prelude::*;

#[path = "../tests/economics/attacks.rs"]
mod attacks;
#[path = "../tests/common/mod.rs"]
mod common;
#[path = "../tests/economics/world.rs"]
mod world;

use attacks::{ALL, Attack, Outcome, STAKES, play};
use world::XPL;

const SIZE: (u32, u32) = (760, 380);
const COLORS: [RGBColor; 4] = [
    RGBColor(0x1b, 0x66, 0xc9),
    RGBColor(0x1a, 0x8f, 0x5a),
    RGBColor(0xd0, 0x7a, 0x00),
    RGBColor(0xb5, 0x2a, 0x3c),
];

struct Options {
    days: u64,
    seed: u64,
    only: Option<String>,
}

fn options() -> Options {
    let mut options = Options { days: 60, seed: 7, only: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| panic!("{word} needs a value"));
        match word.as_str() {
            "--days" => options.days = value().parse().expect("--days takes a number"),
            "--seed" => options.seed = value().parse().expect("--seed takes a number"),
            "--only" => options.only = Some(value()),
            // What cargo passes to every bench.
            "--bench" => {}
            _ => panic!("unknown option {word}: --days N, --seed N, --only NAME"),
        }
    }
    options
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/economics")
}

/// Whole and hundredth XPL.
fn xpl(units: i128) -> String {
    let cents = (units.abs() + 5_000) / 10_000;
    format!("{}{}.{:02}", if units < 0 { "-" } else { "" }, cents / 100, cents % 100)
}

fn bps(profit: i128, attack: Attack) -> i128 {
    profit * 10_000 / attack.capital() as i128
}

fn draw(outcome: &Outcome) -> Result<(), Box<dyn std::error::Error>> {
    let path = folder().join(format!("{}.svg", outcome.attack.name()));
    let value = |units: i128| units as f64 / XPL as f64;
    let all = outcome.days.iter().flatten().map(|units| value(*units));
    let (low, high) = all.fold((0.0f64, 0.0f64), |(low, high), v| (low.min(v), high.max(v)));
    let room = (high - low).max(0.01) * 0.08;
    let days = outcome.days.len() as f64;
    let root = SVGBackend::new(&path, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(format!("{}: profit over its twin", outcome.attack.name()), ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(36)
        .y_label_area_size(72)
        .build_cartesian_2d(0.0..days, (low - room)..(high + room))?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("days of chain time")
        .y_desc("XPL")
        .draw()?;
    chart.draw_series(LineSeries::new([(0.0, 0.0), (days, 0.0)], BLACK.stroke_width(1)))?;
    for (at, ((share, _), color)) in STAKES.into_iter().zip(COLORS).enumerate() {
        let line = outcome.days.iter().zip(1..).map(|(day, n)| (f64::from(n), value(day[at])));
        let line = std::iter::once((0.0, 0.0)).chain(line);
        chart
            .draw_series(LineSeries::new(line, color.stroke_width(2)))?
            .label(format!("stake {share}"))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerLeft)
        .background_style(WHITE)
        .border_style(BLACK)
        .draw()?;
    root.present()?;
    Ok(())
}

/// The figures, as a page: what is assumed stands in the page beside it.
fn figures(options: &Options, outcomes: &[Outcome]) -> String {
    let mut text = format!(
        "# Figures\n\nMade by `make economics`: {} days, seed {}. What stands behind them: [README.md](README.md).\n\n",
        options.days, options.seed
    );
    text += "| attack | capital, XPL |";
    for (share, _) in STAKES {
        write!(text, " stake {share}, XPL (bps of capital) |").unwrap();
    }
    text += "\n|---|---|---|---|---|---|\n";
    for outcome in outcomes {
        let attack = outcome.attack;
        write!(text, "| {} | {} |", attack.name(), attack.capital() / XPL).unwrap();
        for profit in outcome.profit() {
            write!(text, " {} ({}) |", xpl(profit), bps(profit, attack)).unwrap();
        }
        text += "\n";
    }
    text += "\n| attack | what it is | its twin | price, index with it | without |\n|---|---|---|---|---|\n";
    for outcome in outcomes {
        let ((what, twin), [with, without]) = (outcome.attack.story(), outcome.prices);
        let name = outcome.attack.name();
        let mxpl =
            |(price, index): (u64, u64)| format!("{}, {}", price / 1_000_000, index / 1_000_000);
        writeln!(text, "| {name} | {what} | {twin} | {} | {} |", mxpl(with), mxpl(without))
            .unwrap();
    }
    text += "\nPrices and indexes are in XPL per million units of the honest model; honest rigs ask 1,000 on average.\n";
    for outcome in outcomes {
        let name = outcome.attack.name();
        write!(text, "\n![{name}]({name}.svg)\n").unwrap();
    }
    text
}

fn main() {
    let options = options();
    fs::create_dir_all(folder()).expect("docs/economics can be made");
    let wanted: Vec<Attack> = ALL
        .into_iter()
        .filter(|attack| options.only.as_deref().is_none_or(|only| only == attack.name()))
        .collect();
    assert!(!wanted.is_empty(), "there is no such attack");
    let (days, seed) = (options.days, options.seed);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut outcomes = Vec::new();
    for some in wanted.chunks(threads) {
        outcomes.extend(thread::scope(|scope| {
            let running: Vec<_> =
                some.iter().map(|attack| scope.spawn(|| play(*attack, seed, days))).collect();
            running
                .into_iter()
                .map(|one| one.join().expect("an attack plays to its end"))
                .collect::<Vec<_>>()
        }));
    }
    let mut pays = false;
    for outcome in &outcomes {
        draw(outcome).expect("a chart is drawn");
        for ((share, _), profit) in STAKES.into_iter().zip(outcome.profit()) {
            pays |= profit >= 0;
            println!(
                "{:<7} stake {share:<4} {:>12} XPL {:>6} bps of capital",
                outcome.attack.name(),
                xpl(profit),
                bps(profit, outcome.attack)
            );
        }
    }
    if options.only.is_none() {
        fs::write(folder().join("figures.md"), figures(&options, &outcomes))
            .expect("figures are written");
    }
    assert!(!pays, "an attack pays");
}
