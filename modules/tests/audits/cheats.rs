//! What play is worth, in the state machine itself, with seeded beacons and jurors.

use crate::court::*;

/// A draw of 0 to 9,999 from a seed.
fn draw(seed: u64, what: &str, at: u64) -> u64 {
    let hash =
        plasma_modules::types::digest(&[&seed.to_be_bytes(), what.as_bytes(), &at.to_be_bytes()]);
    u64::from_be_bytes(hash[..8].try_into().unwrap()) % 10_000
}

/// Juries of seven, of which five decide.
fn sevens() -> AuditParams {
    AuditParams {
        jury: 7,
        threshold: 5,
        appeal_jury: 7,
        appeal_threshold: 5,
        pool_min: 12,
        slash_min_uxpl: 1,
        ..numbers()
    }
}

/// Plays `claims` claims of a known provider that cheats on each with a chance of `cheat_bps`. Jurors find
/// a cheat with 90%; `liars` of the pool say the opposite of what they find. Returns what the provider
/// gained of cheated claims, what it lost of its bond, and whether an honest claim was not paid.
fn play(seed: u64, claims: u64, cheat_bps: u64, liars: usize) -> (u128, u128, bool) {
    // Known, and audited as seldom as the rules allow.
    let mut court = Court::with(sevens(), 12, make_known);
    court.net.block.beacon = plasma_modules::types::sha256(&seed.to_be_bytes());
    let (mut gained, mut wronged) = (0, false);
    let bond = court.bond(PROVIDER);
    // Of so many a jury of seven has at most `liars`.
    let lying: Vec<Address> = court.jurors.iter().copied().take(liars).collect();
    for turn in 0..claims {
        if court.standing().era > 0 {
            break;
        }
        let cheats = draw(seed, "cheats", turn) < cheat_bps;
        let id = court.claim_of(USERS[(turn % 3) as usize]);
        let charge: u128 = court.net.job(id).charge_uxpl.parse().unwrap();
        for step in 0..80 {
            let Some(audit) = audit::audit(&court.net.store, id) else { break };
            match audit.state() {
                AuditState::Reveal => court.reveal(id),
                AuditState::Commit => {
                    let says: Vec<_> = court
                        .jury(id)
                        .iter()
                        .enumerate()
                        .map(|(at, juror)| {
                            let sees = draw(seed, "sees", turn * 100 + at as u64) < 9_000;
                            let pass = !(cheats && sees);
                            Some(pass != lying.contains(juror))
                        })
                        .collect();
                    court.judge(id, &says);
                }
                AuditState::Ended => break,
                _ => {
                    assert!(step < 79, "the audit does not end");
                    court.end_quickly();
                }
            }
        }
        for _ in 0..8 {
            court.end_quickly();
        }
        match court.net.job(id).state() {
            JobState::Settled if cheats => gained += charge,
            JobState::Settled => {}
            _ => wronged |= !cheats,
        }
    }
    chain::check_invariants(&court.net.store).unwrap();
    (gained, bond - court.bond(PROVIDER), wronged)
}

#[test]
fn the_honest_lose_nothing_and_liars_below_the_threshold_change_nothing() {
    for seed in 0..3 {
        for liars in [0, 2] {
            let (_, lost, wronged) = play(seed, 12, 0, liars);
            assert_eq!((lost, wronged), (0, false), "seed {seed}, {liars} liars");
        }
    }
}

/// One that cheats whenever it serves: it keeps what it got until it is found, and then pays. The runs
/// are independent; on the whole it loses.
#[test]
fn who_cheats_loses_more_than_it_gains() {
    let (mut gained, mut lost, mut caught) = (0, 0, 0);
    for seed in 100..124 {
        let (more, slashed, _) = play(seed, 40, 10_000, 1);
        gained += more;
        lost += slashed;
        caught += u32::from(slashed > 0);
    }
    assert!(caught > 18, "{caught} of 24 were found");
    assert!(lost > gained, "gained {gained}, lost {lost}");
}

/// What became of a false claim that so many of seven jurors pass, those who sit from seat `first` on; the
/// others fail it. The provider must not be paid for it.
fn false_claim(court: &mut Court, liars: usize, first: usize) -> Audit {
    let before = court.net.balance(PROVIDER);
    let id = court.audited();
    court.reveal(id);
    let lies = |seat: usize| (seat + 7 - first) % 7 < liars;
    let says: Vec<_> = (0..7).map(|seat| Some(lies(seat))).collect();
    court.judge(id, &says);
    court.end(20);
    assert_ne!(court.net.job(id).state(), JobState::Settled, "{liars} liars had it paid");
    assert_eq!(court.net.balance(PROVIDER), before, "{liars} liars had it paid");
    court.audit(id)
}

/// As long as those who saw it are as many as decide, whoever sits where.
#[test]
fn a_false_claim_is_convicted_whatever_liars_below_the_threshold_say() {
    let mut court = Court::new(sevens(), 12);
    for liars in 0..=2 {
        for first in 0..7 {
            let bond = court.bond(PROVIDER);
            let audit = false_claim(&mut court, liars, first);
            assert_eq!(audit.finding(), Finding::Convicted, "{liars} liars from {first}");
            assert_eq!(court.net.job(audit.id).outcome(), Outcome::Voided);
            let slashed: u128 = audit.slashed_uxpl.parse().unwrap();
            assert!(slashed > 0 && court.bond(PROVIDER) == bond - slashed);
            let lied = |seat: &&Seat| seat.verdict.as_ref().is_some_and(|verdict| verdict.pass);
            assert_eq!(audit.seats.iter().filter(lied).count(), liars);
            assert!(audit.seats.iter().filter(lied).all(|seat| seat.earned_uxpl.is_empty()));
        }
    }
}

/// Three or four of seven leave neither side as many as decide. Today such a jury is hung: the claim is voided
/// and refunded, nobody is slashed, and the next claim is audited. Whatever is made of it, lies do not pay.
#[test]
fn a_false_claim_that_splits_its_jury_is_not_paid() {
    let mut court = Court::new(sevens(), 12);
    for liars in 3..=4 {
        for first in 0..7 {
            false_claim(&mut court, liars, first);
        }
    }
}
