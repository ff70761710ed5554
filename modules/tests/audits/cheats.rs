//! What play is worth, in the state machine itself, with seeded beacons and jurors.

use crate::court::*;

/// A draw of 0 to 9,999 from a seed.
fn draw(seed: u64, what: &str, at: u64) -> u64 {
    let hash =
        plasma_modules::types::digest(&[&seed.to_be_bytes(), what.as_bytes(), &at.to_be_bytes()]);
    u64::from_be_bytes(hash[..8].try_into().unwrap()) % 10_000
}

/// Plays `claims` claims of a known provider that cheats on each with a chance of `cheat_bps`. Jurors find
/// a cheat with 90%; `liars` of the pool say the opposite of what they find. Returns what the provider
/// gained of cheated claims, what it lost of its bond, and whether an honest claim was not paid.
fn play(seed: u64, claims: u64, cheat_bps: u64, liars: usize) -> (u128, u128, bool) {
    let numbers = AuditParams {
        jury: 7,
        threshold: 5,
        appeal_jury: 7,
        appeal_threshold: 5,
        pool_min: 12,
        slash_min_uxpl: 1,
        ..numbers()
    };
    let mut court = Court::with(numbers, 12, |genesis| {
        // Known, and audited as seldom as the rules allow.
        genesis.attestation.as_mut().unwrap().standings = vec![Standing {
            operator: PROVIDER.text(),
            clean_uxpl: (500 * XPL).to_string(),
            ..Standing::default()
        }];
    });
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
