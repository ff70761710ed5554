//! What becomes of payments, one after another.

use super::*;
use plasma_modules::{Memory, Write};

/// A whole block: the market, what it hands on, prices.
fn whole_block(net: &mut Net, seconds: u64) {
    net.run(Address::default(), |ctx| {
        market::end_block(ctx);
        let settled = market::take_settled(ctx.store);
        price::end_block(ctx, &settled);
        Ok::<_, Refusal>(())
    })
    .unwrap();
    chain::check_invariants(&net.store).unwrap();
    net.block = block(net.block.height + 1, net.block.time_s + seconds);
}

#[test]
fn a_job_that_is_paid_is_counted_once() {
    let mut net = market_of(default_params());
    let model = net.model();
    let ids: Vec<u64> = (0..4).map(|_| net.submit(job_for(USERS[0], &model)).unwrap()).collect();
    whole_block(&mut net, 5);
    whole_block(&mut net, 5);
    let mut charges = 0;
    for id in &ids {
        let job = net.job(*id);
        let answer = net.answer(&job, 10);
        charges += answer.receipt.as_ref().unwrap().charge_uxpl.parse::<u128>().unwrap();
        net.receipt(USERS[1], answer).unwrap();
        let job = net.job(*id);
        assert_eq!((job.n_fresh, job.n_cached, job.n_out), (20, 5, 10));
    }
    assert!(price::price(&net.store, &hash(&model)).is_none(), "nothing is final yet");
    for _ in 0..4 {
        whole_block(&mut net, 5);
    }
    assert_eq!(price_of(&net, &model).price_uxpl_per_mtok, 100, "it begins at the floor");
    // Until the hour is over and closed.
    whole_block(&mut net, 3_600);
    whole_block(&mut net, 5);
    let hour = price::hour(&net.store, &hash(&model), START_S / 3_600).unwrap();
    assert_eq!(hour.charge_uxpl, charges.to_string());
    // 20 * 0.25 + 5 * 0.05 + 10 units each.
    assert_eq!(hour.units_bps, (4 * (20 * 2_500 + 5 * 500 + 10 * 10_000)).to_string());
    assert!(hour.index_stale, "three providers are too few");
    let record = price::export(&net.store);
    let most: u32 = record.capacities.iter().map(|shown| shown.slots).sum();
    let providers = u32::try_from(record.capacities.len()).unwrap();
    assert_eq!(hour.providers, providers);
    assert!(most >= 4 - (providers - 1) || providers == 3, "slots are shown by jobs at once");
}

#[test]
fn an_index_needs_five_providers_and_goes_stale_without() {
    let mut net = market_of(default_params());
    let model = net.model();
    let prices = [100u128, 110, 120, 130, 900];
    let payments: Vec<_> = prices
        .iter()
        .zip(20..)
        .map(|(price, who)| paid(&model, somebody(who), price * 1_000, 1_000_000))
        .collect();
    end(&mut net, 3_600, &payments[..4]);
    end(&mut net, 3_600, &[]);
    assert!(price_of(&net, &model).index_stale);
    end(&mut net, 3_600, &payments[4..]);
    end(&mut net, 3_600, &[]);
    let price = price_of(&net, &model);
    assert!(!price.index_stale);
    // Five of 15 % cannot be the whole, so all weigh the same.
    assert_eq!((price.providers, price.index_uxpl_per_mtok), (5, 120_000));
    assert_eq!(price.index_twap_uxpl_per_mtok, 120_000, "hours before the first count for nothing");
    // 0.77 of the index at once, for nothing is in use.
    assert_eq!(price.price_uxpl_per_mtok, 92_400);
    let known = net.events.iter().filter(|event| event.kind == "index_updated").count();
    assert_eq!(known, 1);
    for _ in 0..22 {
        end(&mut net, 3_600, &[]);
    }
    let price = price_of(&net, &model);
    assert!(price.index_stale, "the first four were paid more than 24 hours ago");
    assert_eq!(price.index_uxpl_per_mtok, 120_000, "it stays what it was");
}

#[test]
fn one_payer_counts_for_a_tenth_of_what_is_proven() {
    let mut net = market_of(default_params());
    let model = net.model();
    // What is claimed does not count before it was shown: 12 slots are offered, 2 and 4 shown.
    let shown = |who, slot| Settled { slot, ..paid(&model, who, 1_000, 10) };
    let payments = [shown(OPERATORS[0], 2), shown(OPERATORS[1], 9), shown(somebody(77), 50)];
    end(&mut net, 60, &payments);
    assert_eq!(price_of(&net, &model).proven_slots, 2 + 4, "at most what is offered with a bond");
    for user in [USERS[0], USERS[1]] {
        for _ in 0..4 {
            net.submit(job_for(user, &model)).unwrap();
        }
    }
    for _ in 0..3 {
        net.run(Address::default(), |ctx| {
            market::end_block(ctx);
            Ok::<_, Refusal>(())
        })
        .unwrap();
        net.block.height += 1;
    }
    assert_eq!(market::busy_payers(&net.store, hash(&model), Address::default()).count(), 2);
    end(&mut net, 60, &[]);
    assert_eq!(price_of(&net, &model).use_bps, 2_000, "two payers, a tenth each");
}

#[test]
fn what_was_shown_lasts_for_a_day_and_the_next() {
    let mut net = market_of(default_params());
    let model = net.model();
    end(&mut net, 86_400, &[paid(&model, OPERATORS[0], 1_000, 10)]);
    for proven in [1, 0, 0] {
        end(&mut net, 86_400, &[]);
        assert_eq!(price_of(&net, &model).proven_slots, proven);
    }
    assert!(price::export(&net.store).capacities.is_empty());
}

#[test]
fn a_full_hour_keeps_those_that_were_paid_most() {
    let mut net = market_of(pb::Params { providers_per_hour_max: 8, ..default_params() });
    let model = net.model();
    let payments: Vec<_> =
        (1..=40u8).map(|n| paid(&model, somebody(n), u128::from(n) * 7 % 41 + 1, 10)).collect();
    end(&mut net, 5, &payments);
    let mut charges: Vec<u128> = price::export(&net.store)
        .volumes
        .iter()
        .map(|volume| volume.charge_uxpl.parse().unwrap())
        .collect();
    charges.sort_unstable();
    assert_eq!(charges, [34, 35, 36, 37, 38, 39, 40, 41]);
    assert_eq!(price_of(&net, &model).paid_providers, 8);
}

#[test]
fn a_block_reads_no_more_than_its_part_and_all_models_come_to_turn() {
    let mut net = market_of(pb::Params { reads_per_block_max: 64, ..default_params() });
    let models: Vec<Vec<u8>> = (0..60).map(|n| vec![n; 32]).collect();
    let payments: Vec<_> = models
        .iter()
        .flat_map(|model| (20..26).map(|who| paid(model, somebody(who), 5_000, 1_000)))
        .collect();
    end(&mut net, 3_600, &payments);
    let mut blocks = 0;
    while models.iter().any(|model| price_of(&net, model).index_stale) {
        let before = net.store.clone();
        end(&mut net, 1, &[]);
        let touched =
            net.store.scan(&[]).filter(|(key, value)| before.get(key).as_ref() != Some(value));
        // A model that is closed reads its six volumes and 24 hours and writes three records, and the
        // last one may pass the limit.
        assert!(touched.count() <= 40, "a block did more than its part");
        blocks += 1;
    }
    assert!((20..=60).contains(&blocks), "{blocks}");
    for _ in 0..60 {
        end(&mut net, 1, &[]);
    }
    assert!(models.iter().all(|model| price_of(&net, model).updated_s > START_S + 3_600));
}

#[test]
fn a_model_that_nobody_pays_for_is_forgotten() {
    let mut net = market_of(pb::Params { hours_kept: 72, ..default_params() });
    let model = net.model();
    end(&mut net, 3_600, &[paid(&model, OPERATORS[0], 1_000, 10)]);
    for _ in 0..72 {
        end(&mut net, 3_600, &[]);
    }
    assert_eq!(price::export(&net.store).hours.len(), 72);
    end(&mut net, 3_600, &[]);
    end(&mut net, 3_600, &[]);
    end(&mut net, 3_600, &[]);
    let left = price::export(&net.store);
    assert!(left.prices.is_empty() && left.hours.is_empty() && left.volumes.is_empty());
}

#[test]
fn a_record_goes_on_from_its_export_in_the_middle_of_a_round() {
    let mut net = market_of(pb::Params { reads_per_block_max: 64, ..default_params() });
    let models: Vec<Vec<u8>> = (0..40).map(|n| vec![n; 32]).collect();
    let payments: Vec<_> = models
        .iter()
        .flat_map(|model| (20..27).map(|who| paid(model, somebody(who), 5_000, 1_000)))
        .collect();
    end(&mut net, 3_600, &payments);
    end(&mut net, 1, &[]);
    let exported = price::export(&net.store);
    assert!(!exported.round.as_ref().unwrap().model_id.is_empty());
    assert!(!exported.closing.as_ref().unwrap().model_id.is_empty());
    let mut twin = Net {
        store: Memory::default(),
        block: net.block.clone(),
        events: vec![],
        fee_units: 0,
        plays_audits: false,
    };
    for (key, value) in net.store.scan(&[]).filter(|(key, _)| !(0x58..0x60).contains(&key[0])) {
        twin.store.set(key, Some(value));
    }
    price::init(&mut twin.store, &exported).unwrap();
    assert_eq!(twin.store, net.store);
    for _ in 0..30 {
        end(&mut net, 20, &payments[..9]);
        end(&mut twin, 20, &payments[..9]);
        assert_eq!(twin.store, net.store);
    }
}

#[test]
fn a_genesis_that_is_not_well_formed_is_refused() {
    let mut net = market_of(default_params());
    let model = net.model();
    end(&mut net, 3_600, &[paid(&model, OPERATORS[0], 1_000, 10)]);
    end(&mut net, 60, &[]);
    let good = price::export(&net.store);
    let code = |change: fn(&mut plasma_proto::plasma::genesis::v1::PriceGenesis)| {
        let mut genesis = good.clone();
        change(&mut genesis);
        refused(price::init(&mut Memory::default(), &genesis).map_err(Refusal::from), "price", 3);
    };
    code(|genesis| genesis.params = None);
    code(|genesis| genesis.round = None);
    code(|genesis| genesis.closing = None);
    code(|genesis| genesis.prices.clear());
    code(|genesis| genesis.prices.push(genesis.prices[0].clone()));
    code(|genesis| genesis.prices[0].model_id.clear());
    code(|genesis| genesis.prices[0].price_uxpl_per_mtok = 0);
    code(|genesis| genesis.prices[0].hour_sum = "x".into());
    code(|genesis| genesis.volumes.push(genesis.volumes[0].clone()));
    code(|genesis| genesis.volumes[0].charge_uxpl = "0".into());
    code(|genesis| genesis.volumes[0].operator = "xpl1".into());
    code(|genesis| genesis.capacities.push(genesis.capacities[0].clone()));
    code(|genesis| genesis.hours.push(genesis.hours[0].clone()));
    code(|genesis| genesis.hours[0].hour += 1_000);
    code(|genesis| genesis.round.as_mut().unwrap().model_id = vec![1; 31]);
    code(|genesis| genesis.round.as_mut().unwrap().payer = vec![1; 20]);
    let mut genesis = good.clone();
    genesis.params.as_mut().unwrap().interval_s = 0;
    refused(price::init(&mut Memory::default(), &genesis).map_err(Refusal::from), "params", 10);
}

#[test]
fn every_question_has_its_answer() {
    let mut net = market_of(default_params());
    let model = net.model();
    let payments: Vec<_> = (20..28u8)
        .map(|who| paid(&model, somebody(who), 1_000 * u128::from(who), 1_000_000))
        .collect();
    end(&mut net, 3_600, &payments);
    end(&mut net, 3_600, &[]);
    let ask = |path: &str, request: &[u8]| {
        let view = View { store: &net.store, block: &net.block };
        Router::new().call(&format!("/plasma.price.v1.Query/{path}"), &view, request)
    };
    let model_id = plasma_modules::types::hex(&model);
    let price = pb::QueryPriceRequest { model_id: model_id.clone() }.encode_to_vec();
    let answer = pb::QueryPriceResponse::decode(&ask("Price", &price).unwrap()[..]).unwrap();
    assert_eq!(answer.price.unwrap(), price_of(&net, &model));
    let answer = pb::QueryPricesResponse::decode(&ask("Prices", &[]).unwrap()[..]).unwrap();
    assert_eq!(answer.prices, [price_of(&net, &model)]);
    let answer = pb::QueryParamsResponse::decode(&ask("Params", &[]).unwrap()[..]).unwrap();
    assert_eq!(answer.params, Some(default_params()));
    let answer = pb::QueryIndexResponse::decode(&ask("Index", &price).unwrap()[..]).unwrap();
    assert_eq!(answer.quotes.len(), 8);
    assert!(answer.quotes.iter().all(|quote| quote.weight_bps <= 1_500));
    assert_eq!(answer.index_uxpl_per_mtok, price_of(&net, &model).index_uxpl_per_mtok);
    assert!(answer.quotes.iter().any(|q| q.mean_uxpl_per_mtok == answer.index_uxpl_per_mtok));
    let answer = pb::QueryHistoryResponse::decode(&ask("History", &price).unwrap()[..]).unwrap();
    assert_eq!(answer.hours.len(), 1);
    let unknown = pb::QueryPriceRequest { model_id: "00".repeat(32) }.encode_to_vec();
    assert_eq!(ask("Price", &unknown).unwrap_err().code.grpc(), 5);
    let garbage = pb::QueryPriceRequest { model_id: "xyz".into() }.encode_to_vec();
    for path in ["Price", "Index", "History"] {
        assert_eq!(ask(path, &garbage).unwrap_err().code.grpc(), 3);
    }
}
