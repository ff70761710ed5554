//! What the lab is to show, and by which profile it does.

use std::time::Duration;

use plasma_proto::plasma::attestation::v1::Profile;

use crate::figures::{Spent, career, interval, losing_price};
use crate::lab::Profiles;
use crate::receipts::Judged;
use crate::ways::{
    WAYS,
    Way::{self, *},
};

/// What a million tokens cost in the configuration that a new node starts from, XPL: no cheat may gain at that.
const PRICE_XPL_PER_MTOK: f64 = 0.6;
/// Part of receipts that one audit of each is to tell, percent.
const TOLD_PERCENT: usize = 99;
/// Audits after which weights of 8 bits are to be convicted, in this part of careers.
const Q8_AUDITS: u64 = 20;
const Q8_PERCENT: usize = 95;
/// Reading, of the time of writing.
const READING_MOST: f64 = 0.12;
/// Careers of a row, each until its end.
pub const CAREERS: u64 = 400;

fn cell(seen: &str, holds: bool) -> String {
    format!("{seen}: {}", if holds { "held" } else { "**not held**" })
}

/// Those of a way with so many tokens or more that a profile tells.
fn told(judged: &[Judged], profile: &Profile, way: Way, tokens: u32) -> String {
    let all: Vec<&Judged> =
        judged.iter().filter(|one| one.way == way && one.measures.tokens >= tokens).collect();
    let hits = all.iter().filter(|one| one.is_caught(profile)).count();
    let (low, _) = interval(hits, all.len().max(1));
    let holds = !all.is_empty() && hits * 100 >= TOLD_PERCENT * all.len();
    cell(&format!("{hits} of {} (95 %: {low:.0} % or more)", all.len()), holds)
}

/// The rows of cheats: a way, a length and whether its text is drawn.
fn rows(judged: &[Judged]) -> Vec<(String, Vec<&Judged>)> {
    let mut lengths: Vec<u32> = judged.iter().map(|one| one.tokens).collect();
    lengths.sort_unstable();
    lengths.dedup();
    let mut rows = Vec::new();
    for way in WAYS.iter().filter(|way| !way.is_honest()) {
        for (length, is_drawn) in
            lengths.iter().flat_map(|length| [(length, true), (length, false)])
        {
            let of = |one: &&Judged| {
                one.way == *way && one.tokens == *length && one.is_drawn() == is_drawn
            };
            let all: Vec<&Judged> = judged.iter().filter(of).collect();
            let text = if is_drawn { "drawn" } else { "greedy" };
            if !all.is_empty() {
                rows.push((format!("{} of {length}, {text}", way.name()), all));
            }
        }
    }
    rows
}

/// Audited receipts after which [`Q8_PERCENT`] of careers with 8-bit weights have ended, in the longest row.
fn q8_audits(rows: &[(String, Vec<&Judged>)], profile: &Profile) -> String {
    let audits = |all: &[&Judged]| {
        let ends = (0..CAREERS).map(|seed| career(all, profile, seed));
        let mut audits: Vec<u64> = ends.map(|end| end.map_or(u64::MAX, |end| end.audits)).collect();
        audits.sort_unstable();
        audits[(audits.len() - 1) * Q8_PERCENT / 100]
    };
    let of = rows.iter().filter(|(_, all)| all[0].way == Q8);
    let most = of.map(|(_, all)| audits(all)).max().unwrap_or(u64::MAX);
    let seen = if most == u64::MAX { "not in every row".to_owned() } else { most.to_string() };
    cell(&seen, most <= Q8_AUDITS)
}

fn honest(judged: &[Judged], profile: &Profile, ways: &[Way]) -> String {
    let all: Vec<&Judged> = judged.iter().filter(|one| ways.contains(&one.way)).collect();
    let rejected = all.iter().filter(|one| one.is_caught(profile)).count();
    let (_, high) = interval(rejected, all.len().max(1));
    let segments: usize = all.iter().map(|one| one.segments).sum();
    let seen =
        format!("{rejected} of {}, {segments} segments (95 %: {high:.1} % at most)", all.len());
    cell(&seen, rejected == 0)
}

/// Rows in which a cheat gains at the example price.
fn gaining(rows: &[(String, Vec<&Judged>)], profile: &Profile) -> String {
    let gains = |all: &[&Judged]| {
        let ended: Option<Vec<_>> = (0..CAREERS).map(|seed| career(all, profile, seed)).collect();
        ended.is_none_or(|ended| losing_price(&ended) < PRICE_XPL_PER_MTOK)
    };
    let gaining: Vec<&str> =
        rows.iter().filter(|(_, all)| gains(all)).map(|(name, _)| name.as_str()).collect();
    let seen = match gaining.as_slice() {
        [] => format!("all {} rows", rows.len()),
        some => format!("but for {}", some.join("; ")),
    };
    cell(&seen, gaining.is_empty())
}

/// The table of goals.
pub fn goals(judged: &[Judged], profiles: &Profiles, spent: &Spent) -> String {
    let every: &[Way] = &[Honest, HonestPlain, HonestF16, HonestBf16];
    let by: [(&Profile, &[Way]); 3] = [
        (&profiles.calibrated, every),
        (&profiles.default, every),
        (&profiles.narrow, &[Honest, HonestPlain]),
    ];
    let mut text = "\n| goal | calibrated | default | narrow |\n|---|---|---|---|\n".to_owned();
    let mut line = |goal: &str, of: &dyn Fn(&Profile, &[Way]) -> String| {
        let cells = by.map(|(profile, honest)| of(profile, honest));
        text += &format!("| {goal} | {} |\n", cells.join(" | "));
    };
    for (way, tokens, goal) in [
        (Q4, 64, "q4_0 weights are told in one receipt of 64 tokens or more"),
        (PrefillAttack, 96, "a cheap model's text that the right one proves, in one of 96 or more"),
        (OtherSeed, 96, "another seed, in one of 96 or more"),
        (HiddenPrompt, 96, "a hidden prompt, in one of 96 or more"),
        (HalfPrompt, 96, "half of the prompt, in one of 96 or more"),
        // What stops early claims two thirds of an output.
        (StopsEarly, 64, "an early stop, in one of 96 or more that were due"),
    ] {
        line(goal, &|profile, _| told(judged, profile, way, tokens));
    }
    let rows = rows(judged);
    line(
        &format!(
            "q8_0 weights are convicted within {Q8_AUDITS} audited receipts, in {Q8_PERCENT} % of careers"
        ),
        &|profile, _| q8_audits(&rows, profile),
    );
    line("no honest receipt is rejected", &|profile, ways| honest(judged, profile, ways));
    line(
        &format!("every cheat loses at {PRICE_XPL_PER_MTOK} XPL per million tokens"),
        &|profile, _| gaining(&rows, profile),
    );
    if spent.reading > Duration::ZERO {
        let part = spent.reading.as_secs_f64() / spent.writing.as_secs_f64().max(1e-9);
        let seen = cell(&format!("{part:.3}"), part <= READING_MOST);
        let goal = format!("reading takes {READING_MOST} of the time of writing at most");
        text += &format!("| {goal} | {seen} | | |\n");
    }
    text
}
