//! Whoever pays himself loses: as payer, provider, publisher and referrer at once, at any share of
//! the stake, at the default numbers, without even counting what transactions cost.

use super::*;

/// One who owns every side of a market.
const RING: [Address; 4] = [USERS[0], OPERATORS[0], PUBLISHER, REFERRAL];

/// What the ring has: balances, bond, and what it is owed.
fn wealth(net: &Net) -> u128 {
    let bond = net.provider(OPERATORS[0]).map_or(0, |p| p.bond_uxpl.parse::<u128>().unwrap());
    RING.iter().map(|who| net.balance(*who)).sum::<u128>() + bond + accrued(net, OPERATORS[0])
}

#[derive(Clone, Debug)]
struct Wash {
    /// Prices of the jobs, uxpl per million tokens of output.
    prices: Vec<u64>,
    royalty_bps: u32,
    referral: bool,
    /// What the use of others burned in the same epoch.
    others: u128,
}

fn wash() -> impl Strategy<Value = Wash> {
    let price = prop_oneof![500_000_000u64..10_000_000_000, Just(1_000_000_000_000)];
    let others = prop_oneof![Just(0u128), 1u128..1_000, 1_000_000u128..1_000_000_000_000];
    (proptest::collection::vec(price, 1..4), 0u32..=1_000, any::<bool>(), others).prop_map(
        |(prices, royalty_bps, referral, others)| Wash { prices, royalty_bps, referral, others },
    )
}

/// The ring's gain in an epoch, and what of its charges went to stakers.
fn play(wash: &Wash) -> (i128, u128) {
    let market_params = Params { bond_min_uxpl: 1_000_000, ..net::params() };
    let mut net = Net::new(market_params);
    net.block = block(1, START_S);
    let model = net.publish("wash", wash.royalty_bps).unwrap();
    let before = wealth(&net);
    end(&mut net, 1, &[]);
    let mut stakers = 0;
    for (at, price) in wash.prices.iter().enumerate() {
        let ask = Ask {
            model_id: model.clone(),
            fresh_uxpl_per_mtok: 0,
            cached_uxpl_per_mtok: 0,
            output_uxpl_per_mtok: *price,
            slots: 4,
        };
        if at == 0 {
            net.register(OPERATORS[0], 200_000 * XPL, vec![ask]).unwrap();
        } else {
            net.update(update_of(OPERATORS[0], vec![ask])).unwrap();
        }
        let submit = MsgSubmitJob {
            max_fee_uxpl: (100_000 * XPL).to_string(),
            referral: if wash.referral { REFERRAL.text() } else { String::new() },
            ..job_for(USERS[0], &model)
        };
        let id = net.submit(submit).unwrap();
        net.end(2, 2);
        let answer = net.answer(&net.job(id), 40);
        net.receipt(OPERATORS[0], answer).unwrap();
        net.end(4, 4);
        let job = net.job(id);
        assert_eq!(job.state(), JobState::Settled);
        stakers += job.payout.unwrap().stakers_uxpl.parse::<u128>().unwrap();
    }
    let mut settled = vec![];
    net.run(USERS[0], |ctx| {
        settled = market::take_settled(ctx.store);
        Ok::<_, Refusal>(())
    })
    .unwrap();
    assert_eq!(settled.len(), wash.prices.len());
    if wash.others != 0 {
        settled.push(burned(OPERATORS[1], wash.others));
    }
    end(&mut net, 3_600, &settled);
    end(&mut net, 1, &[]);
    assert!(wash.others != 0 || accrued(&net, OPERATORS[0]) > 0, "the ring is rewarded");
    (wealth(&net) as i128 - before as i128, stakers)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn paying_oneself_loses_at_any_share_of_the_stake(wash in wash(), share_bps in 0i128..=10_000) {
        let (gain, stakers) = play(&wash);
        let whole = 10_000i128;
        prop_assert!(gain * whole + share_bps * stakers as i128 <= -whole, "{gain} {stakers}");
    }
}

/// The numbers of the protocol: 5.6 % of the charge without stake, 2.6 % with all of it.
#[test]
fn at_the_default_numbers_it_costs_what_the_page_says() {
    let wash =
        Wash { prices: vec![1_000_000_000_000], royalty_bps: 200, referral: true, others: 0 };
    let (gain, stakers) = play(&wash);
    let charge = 40 * 1_000_000;
    assert_eq!(gain, -charge * 56 / 1_000);
    assert_eq!(gain + stakers as i128, -charge * 26 / 1_000);
}
