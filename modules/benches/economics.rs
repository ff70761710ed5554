//! `make economics`: plays every attack on the market's money over months of chain time in the real
//! state machine, prints what came of each, and draws it into `docs/economics/`.
//!
//! `cargo bench -p plasma-modules --bench economics -- [--days 90] [--seed 7] [--only wash]`
#![allow(clippy::disallowed_types, reason = "a drawing is no consensus")]

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::PathBuf,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use plotters::prelude::*;

#[path = "../tests/economics/attacks.rs"]
mod attacks;
#[path = "../tests/common/mod.rs"]
mod common;
#[path = "../tests/economics/people.rs"]
mod people;
#[path = "../tests/economics/world.rs"]
mod world;

use attacks::{ALL, Attack, Life, Outcome, Play, live, plays};
use world::{CAPITAL, SHARES, STAKE, Share, XPL};

/// Blocks are made of many small pieces.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    let mut options = Options { days: 90, seed: 7, only: None };
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
    for (at, (share, color)) in SHARES.into_iter().zip(COLORS).enumerate() {
        let line = outcome.days.iter().zip(1..).map(|(day, n)| (f64::from(n), value(day[at])));
        let line = std::iter::once((0.0, 0.0)).chain(line);
        chart
            .draw_series(LineSeries::new(line, color.stroke_width(2)))?
            .label(format!("stake {}", share.name))
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
    let (days, seed, capital, stake) = (options.days, options.seed, CAPITAL / XPL, STAKE / XPL);
    let mut text = format!(
        "# Figures\n\nMade by `make economics`: {days} days, seed {seed}; the attacker has {capital} XPL besides his share of \
         {stake} XPL of stake. Profit is what he has more than his twin at the end, in XPL and in basis points of the {capital} \
         XPL. What stands behind them: [README.md](README.md).\n\n| attack |"
    );
    for Share { name, .. } in SHARES {
        write!(text, " stake {name} |").unwrap();
    }
    text += "\n|---|---|---|---|---|\n";
    for outcome in outcomes {
        write!(text, "| {} |", outcome.attack.name()).unwrap();
        for profit in outcome.profit() {
            write!(text, " {} ({}) |", xpl(profit), Outcome::bps(profit)).unwrap();
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

/// Plays them all, on all CPUs.
fn lives(plays: &[(Play, Share)], options: &Options) -> BTreeMap<(Play, Share), Life> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let (next, found) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((play, share)) = plays.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let since = Instant::now();
                    let life = live(*play, *share, options.seed, options.days);
                    eprintln!("{play:?} at stake {} in {:.1?}", share.name, since.elapsed());
                    found.lock().unwrap().insert((*play, *share), life);
                }
            });
        }
    });
    found.into_inner().unwrap()
}

fn main() {
    let options = options();
    fs::create_dir_all(folder()).expect("docs/economics can be made");
    let wanted: Vec<Attack> = ALL
        .into_iter()
        .filter(|attack| options.only.as_deref().is_none_or(|only| only == attack.name()))
        .collect();
    assert!(!wanted.is_empty(), "there is no such attack");
    let lives = lives(&plays(&wanted), &options);
    let outcomes: Vec<Outcome> = wanted
        .into_iter()
        .map(|attack| Outcome::new(attack, |play, share| lives[&(play, share)].clone()))
        .collect();
    let mut pays = false;
    for outcome in &outcomes {
        draw(outcome).expect("a chart is drawn");
        for (share, profit) in SHARES.into_iter().zip(outcome.profit()) {
            pays |= profit >= 0;
            println!(
                "{:<7} stake {:<4} {:>12} XPL {:>6} bps of capital",
                outcome.attack.name(),
                share.name,
                xpl(profit),
                Outcome::bps(profit)
            );
        }
    }
    if options.only.is_none() {
        fs::write(folder().join("figures.md"), figures(&options, &outcomes))
            .expect("figures are written");
    }
    assert!(!pays, "an attack pays");
}
