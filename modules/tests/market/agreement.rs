//! The market beside a plain reading of its rules, under random actions.

use plasma_modules::Read as _;

use crate::net::*;

/// Where slashes go here: any account that nobody else pays.
const PURSE: Address = Address([77; 20]);

/// One thing that somebody does.
#[derive(Clone, Debug)]
enum Act {
    Submit { user: usize, fee: u128, tokens: u32, deadline_s: u64, referral: bool },
    Cancel { user: usize, job: usize },
    Decline { job: usize },
    Answer { job: usize, outcome: u8, n_out: u32, fee: u128 },
    Register { operator: usize, bond: u128, price: u64 },
    AddBond { operator: usize, units: u128 },
    Withdraw { operator: usize, units: u128 },
    Update { operator: usize, price: u64, slots: u32 },
    Leave { operator: usize },
    Lock { operator: usize, units: u128 },
    Unlock { operator: usize, units: u128 },
    Slash { operator: usize, units: u128 },
    SlashDuty { operator: usize, units: u128 },
    Hold { job: usize },
    LetGo { job: usize, how: LetGo },
    AuditFee { job: usize, units: u128 },
    Block { seconds: u64 },
}

/// How an audit lets a job go.
#[derive(Clone, Copy, Debug, PartialEq)]
enum LetGo {
    Release,
    Settle,
    Void,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..3usize, 20_000u128..40_000, 1u32..100, 1u64..61, any::<bool>()).prop_map(
            |(user, fee, tokens, deadline_s, referral)| Act::Submit { user, fee, tokens, deadline_s, referral }
        ),
        1 => (0..3usize, 0..20usize).prop_map(|(user, job)| Act::Cancel { user, job }),
        1 => (0..20usize).prop_map(|job| Act::Decline { job }),
        4 => (0..20usize, 0..8u8, 0u32..100, 0u128..30_000)
            .prop_map(|(job, outcome, n_out, fee)| Act::Answer { job, outcome, n_out, fee }),
        1 => (0..3usize, 0u128..100_000, 0u64..10_000_000)
            .prop_map(|(operator, bond, price)| Act::Register { operator, bond, price }),
        1 => (0..3usize, 1u128..60_000).prop_map(|(operator, units)| Act::AddBond { operator, units }),
        1 => (0..3usize, 1u128..60_000).prop_map(|(operator, units)| Act::Withdraw { operator, units }),
        1 => (0..3usize, 0u64..10_000_000, 0u32..4)
            .prop_map(|(operator, price, slots)| Act::Update { operator, price, slots }),
        1 => (0..3usize).prop_map(|operator| Act::Leave { operator }),
        1 => audit(),
        8 => (0u64..15).prop_map(|seconds| Act::Block { seconds }),
    ]
}

/// What attestation may do to bonds and jobs.
fn audit() -> impl Strategy<Value = Act> {
    let how = prop_oneof![Just(LetGo::Release), Just(LetGo::Settle), Just(LetGo::Void)];
    prop_oneof![
        2 => (0..3usize, 0u128..40_000).prop_map(|(operator, units)| Act::Lock { operator, units }),
        1 => (0..3usize, 0u128..40_000).prop_map(|(operator, units)| Act::Unlock { operator, units }),
        2 => (0..3usize, 0u128..60_000).prop_map(|(operator, units)| Act::Slash { operator, units }),
        1 => (0..3usize, 0u128..20_000).prop_map(|(operator, units)| Act::SlashDuty { operator, units }),
        4 => (0..20usize).prop_map(|job| Act::Hold { job }),
        3 => (0..20usize, how).prop_map(|(job, how)| Act::LetGo { job, how }),
        2 => (0..20usize, 0u128..400).prop_map(|(job, units)| Act::AuditFee { job, units }),
    ]
}

/// What a plain reading of the rules says about money and states.
#[derive(Default)]
struct Model {
    balances: BTreeMap<Address, u128>,
    burned: u128,
    jobs: BTreeMap<u64, Job>,
    withdrawals: BTreeMap<u64, (Address, u128, u64, u64)>,
    /// Of withdrawals that were due and had to wait: the block of that.
    waited_since: BTreeMap<u64, u64>,
    /// Bond, leaving since (height, time).
    providers: BTreeMap<Address, (u128, Option<(u64, u64)>)>,
    /// What of a bond stands for duties.
    duties: BTreeMap<Address, u128>,
}

fn units(text: &str) -> u128 {
    text.parse().unwrap()
}

/// What a provider gets of a charge, before its audit: 8 % are burned, 3 % to stakers, 2 % royalty,
/// 1 % referral, 1 % community, each rounded down.
fn provider_part(charge: u128) -> u128 {
    let part = |bps: u128| charge * bps / u128::from(BPS);
    charge - part(800) - part(300) - part(200) - part(100) - part(100)
}

impl Model {
    fn pay(&mut self, to: Address, units: u128) {
        *self.balances.get_mut(&to).unwrap() += units;
    }

    fn take(&mut self, from: Address, units: u128) {
        *self.balances.get_mut(&from).unwrap() -= units;
    }

    /// What came of each job since it was last looked at, and whether that may be.
    fn follow(&mut self, net: &Net, at: &Block) {
        let ids: Vec<u64> = self.jobs.keys().copied().collect();
        for id in ids {
            let (old, new) = (self.jobs[&id].clone(), net.job(id));
            let terms = new.terms.unwrap();
            let passed = |height: u64, blocks: u64, time_s: u64, seconds: u64| {
                at.height >= height + blocks && at.time_s >= time_s + seconds
            };
            match old.state() {
                JobState::Open => {
                    let since =
                        if old.attempt == 0 { old.opened_height } else { old.assigned_height };
                    if at.time_s >= old.deadline_s {
                        assert_eq!(
                            (new.state(), new.outcome()),
                            (JobState::Refunded, Outcome::Timeout)
                        );
                    } else if new.state() != JobState::Open {
                        assert_eq!(
                            (new.state(), new.attempt),
                            (JobState::Assigned, old.attempt + 1)
                        );
                        assert!(since < at.height, "matched with a later beacon");
                        assert!(!old.tried.contains(&new.provider));
                    }
                }
                JobState::Assigned => {
                    let (blocks, seconds) = (terms.assign_timeout_blocks, terms.assign_timeout_s);
                    if passed(old.assigned_height, blocks, old.assigned_s, seconds) {
                        let last = old.attempt == 3 || at.time_s >= old.deadline_s;
                        let then = if last { JobState::Refunded } else { JobState::Open };
                        assert_eq!(new.state(), then);
                        assert_eq!(new.tried.len(), old.tried.len() + 1);
                    } else {
                        assert_eq!(new.state(), JobState::Assigned);
                    }
                }
                JobState::Delivered => {
                    let (blocks, seconds) = (terms.dispute_window_blocks, terms.dispute_window_s);
                    let due =
                        !old.held && passed(old.delivered_height, blocks, old.delivered_s, seconds);
                    let then = if due { JobState::Settled } else { JobState::Delivered };
                    assert_eq!(new.state(), then);
                }
                _ => assert_eq!(old, new, "an ended job stays as it is"),
            }
            self.settle_up(&old, &new);
            self.jobs.insert(id, new);
        }
    }

    /// Moves the money of a job that has ended.
    fn settle_up(&mut self, old: &Job, new: &Job) {
        let ended = |job: &Job| matches!(job.state(), JobState::Settled | JobState::Refunded);
        if ended(old) || !ended(new) {
            return;
        }
        let (paid, duty) = (units(&new.max_fee_uxpl), units(&new.duty_fee_uxpl));
        let charge = if new.state() == JobState::Settled { units(&new.charge_uxpl) } else { 0 };
        let requester = Address::parse(&new.requester).unwrap();
        self.pay(requester, paid - charge - duty);
        if charge == 0 {
            return;
        }
        let part = |bps: u128| charge * bps / u128::from(BPS);
        let audit = units(&new.audit_fee_uxpl);
        self.pay(market::audit_purse(&new.model_id[..].try_into().unwrap()), audit);
        self.burned += part(800);
        self.pay(PUBLISHER, part(200));
        if new.referral.is_empty() {
            self.burned += part(100);
        } else {
            self.pay(REFERRAL, part(100));
        }
        let operator = Address::parse(&new.provider).unwrap();
        self.pay(operator, provider_part(charge) - audit);
    }

    /// Whether a claim made up to a block may still cost its operator bond.
    fn has_claim(&self, who: Address, height: u64) -> bool {
        self.jobs.values().any(|job| {
            job.state() == JobState::Delivered
                && job.provider == who.text()
                && job.delivered_height <= height
        })
    }

    /// The parts of a bond that are asked back, and that stand for jobs.
    fn used(&self, who: Address) -> (u128, u128) {
        let waiting = self.withdrawals.values().filter(|(whose, ..)| *whose == who);
        let jobs = self.jobs.values().filter(|job| job.provider == who.text());
        (
            waiting.map(|(_, units, ..)| units).sum(),
            jobs.map(|job| units(&job.bond_locked_uxpl)).sum(),
        )
    }

    fn duty(&self, who: Address) -> u128 {
        self.duties.get(&who).copied().unwrap_or(0)
    }

    fn free(&self, who: Address) -> u128 {
        let (queued, locked) = self.used(who);
        let used = queued + locked + self.duty(who);
        self.providers.get(&who).map_or(0, |(bond, _)| bond.saturating_sub(used))
    }

    /// Takes from the free bond, then from withdrawals, the newest first, then from what is promised.
    fn slash(&mut self, who: Address, wanted: u128) -> u128 {
        let mut taken = wanted.min(self.free(who));
        for (whose, units, ..) in self.withdrawals.values_mut().rev() {
            if *whose == who {
                let part = (*units).min(wanted - taken);
                *units -= part;
                taken += part;
            }
        }
        self.withdrawals.retain(|_, (_, units, ..)| *units != 0);
        let bond = &mut self.providers.get_mut(&who).unwrap().0;
        let taken = wanted.min(*bond);
        *bond -= taken;
        taken
    }
}

fn price(model_id: &[u8], price: u64, slots: u32) -> Ask {
    Ask {
        model_id: model_id.into(),
        fresh_uxpl_per_mtok: price,
        cached_uxpl_per_mtok: price / 2,
        output_uxpl_per_mtok: price * 2,
        slots,
    }
}

fn play(acts: Vec<Act>) {
    // Bonds that hold a few jobs each, and windows shorter than a job's.
    let least = 30_000;
    let tight = Params { bond_min_uxpl: 30_000, unbond_blocks: 2, unbond_s: 8, ..params() };
    let mut net = Net::new(tight);
    net.plays_audits = true;
    let model_id = net.publish("base", 200).unwrap();
    let supply = net.supply();
    let mut model = Model::default();
    model.balances.extend(MONEY_MOVERS.map(|who| (who, START)));
    model
        .balances
        .extend([(market::audit_purse(&model_id[..].try_into().unwrap()), 0), (PURSE, 0)]);
    for act in acts {
        match act {
            Act::Submit { user, fee, tokens, deadline_s, referral } => {
                let msg = MsgSubmitJob {
                    max_fee_uxpl: fee.to_string(),
                    max_tokens: tokens,
                    deadline_unix_s: net.block.time_s + deadline_s,
                    referral: if referral { REFERRAL.text() } else { String::new() },
                    ..job_for(USERS[user], &model_id)
                };
                let result = net.submit(msg);
                assert_eq!(result.is_ok(), fee >= 20_010, "{result:?}");
                if let Ok(id) = result {
                    model.take(USERS[user], fee);
                    model.jobs.insert(id, net.job(id));
                }
            }
            Act::Cancel { user, job } => {
                let id = job as u64 + 1;
                let result = net.cancel(USERS[user], id);
                let old = model.jobs.get(&id).cloned();
                let may = old.as_ref().is_some_and(|job| {
                    job.state() == JobState::Open && job.requester == USERS[user].text()
                });
                assert_eq!(result.is_ok(), may, "{result:?}");
                if let (true, Some(old)) = (may, old) {
                    let new = net.job(id);
                    model.settle_up(&old, &new);
                    model.jobs.insert(id, new);
                }
            }
            Act::Decline { job } => {
                let Some(old) = model.jobs.get(&(job as u64 + 1)).cloned() else { continue };
                let by = Address::parse(&old.provider).unwrap_or(OPERATORS[0]);
                let result = net.decline(declination(&old, by));
                assert_eq!(result.is_ok(), old.state() == JobState::Assigned, "{result:?}");
                if result.is_ok() {
                    let new = net.job(old.id);
                    model.settle_up(&old, &new);
                    model.jobs.insert(old.id, new);
                }
            }
            Act::Answer { job, outcome, n_out, fee } => {
                let Some(old) = model.jobs.get(&(job as u64 + 1)).cloned() else { continue };
                if old.provider.is_empty() {
                    continue;
                }
                let msg = match outcome {
                    0 => net.failure(&old, Outcome::HostError),
                    1 => net.failure(&old, Outcome::ClientFault),
                    _ => net.answer(&old, n_out.min(old.max_tokens)),
                };
                let operator = Address::parse(&old.provider).unwrap();
                let hash = attestation::receipt_hash(msg.receipt.as_ref().unwrap());
                // The receipt that was accepted is taken again, and does nothing.
                let again = old.receipt_hash == hash;
                net.fee_units = fee;
                let result = net.receipt(operator, msg);
                net.fee_units = 0;
                let late = net.block.height >= old.assigned_height + 3
                    && net.block.time_s >= old.assigned_s + 10;
                let may = old.state() == JobState::Assigned && !late;
                assert_eq!(result.is_ok(), may || again, "{result:?}");
                assert!(may || net.job(old.id) == old);
                if may {
                    let new = net.job(old.id);
                    if outcome > 0 {
                        model.pay(operator, fee.min(20_000));
                        assert_eq!(new.duty_fee_uxpl, fee.min(20_000).to_string());
                    }
                    model.settle_up(&old, &new);
                    model.jobs.insert(old.id, new);
                }
            }
            Act::Register { operator, bond, price: at } => {
                let who = OPERATORS[operator];
                let result = net.register(who, bond, vec![price(&model_id, at, 2)]);
                let may = !model.providers.contains_key(&who) && bond >= least;
                assert_eq!(result.is_ok(), may, "{result:?}");
                if result.is_ok() {
                    model.take(who, bond);
                    model.providers.insert(who, (bond, None));
                }
            }
            Act::AddBond { operator, units } => {
                let who = OPERATORS[operator];
                let result = net.add_bond(who, units);
                let stays = model.providers.get(&who).is_some_and(|(_, leaves)| leaves.is_none());
                assert_eq!(result.is_ok(), stays, "{result:?}");
                if stays {
                    model.take(who, units);
                    model.providers.get_mut(&who).unwrap().0 += units;
                }
            }
            Act::Withdraw { operator, units } => {
                let who = OPERATORS[operator];
                let result = net.withdraw(who, units);
                let waiting = model.withdrawals.values().filter(|(whose, ..)| *whose == who);
                let count = waiting.count();
                let (queued, _) = model.used(who);
                let free = model.free(who);
                let offers =
                    market::offer(&net.store, &model_id.as_slice().try_into().unwrap(), who)
                        .is_some();
                let may = model.providers.get(&who).is_some_and(|(bond, leaves)| {
                    leaves.is_none()
                        && count < 3
                        && units <= free
                        && (!offers || bond - queued - units >= least)
                });
                assert_eq!(result.is_ok(), may, "{result:?}");
                if let Ok(id) = result {
                    let due = (net.block.height + 2, net.block.time_s + 8);
                    model.withdrawals.insert(id, (who, units, due.0, due.1));
                }
            }
            Act::Update { operator, price: at, slots } => {
                let who = OPERATORS[operator];
                let asks = if slots == 0 { vec![] } else { vec![price(&model_id, at, slots)] };
                let result = net.update(update_of(who, asks));
                let waiting = model.withdrawals.values().filter(|(whose, ..)| *whose == who);
                let queued: u128 = waiting.map(|(_, units, ..)| units).sum();
                let may = model.providers.get(&who).is_some_and(|(bond, leaves)| {
                    leaves.is_none() && (slots == 0 || bond - queued >= least)
                });
                assert_eq!(result.is_ok(), may, "{result:?}");
            }
            Act::Leave { operator } => {
                let who = OPERATORS[operator];
                let result = net.leave(who);
                let stays = model.providers.get(&who).is_some_and(|(_, leaves)| leaves.is_none());
                assert_eq!(result.is_ok(), stays, "{result:?}");
                if stays {
                    let due = (net.block.height + 2, net.block.time_s + 8);
                    model.providers.get_mut(&who).unwrap().1 = Some(due);
                }
            }
            Act::Lock { operator, units } => {
                let who = OPERATORS[operator];
                let amount = Amount::new(units);
                let result = net.run(PURSE, |ctx| market::lock_duty(ctx.store, who, amount));
                let may = model.providers.contains_key(&who) && units <= model.free(who);
                assert_eq!(result.is_ok(), may, "{result:?}");
                if may {
                    *model.duties.entry(who).or_default() += units;
                }
            }
            Act::Unlock { operator, units } => {
                let who = OPERATORS[operator];
                let amount = Amount::new(units);
                let result = net.run(PURSE, |ctx| market::unlock_duty(ctx.store, who, amount));
                let may = model.providers.contains_key(&who) && units <= model.duty(who);
                assert_eq!(result.is_ok(), may, "{result:?}");
                if may {
                    *model.duties.entry(who).or_default() -= units;
                }
            }
            Act::Slash { operator, units } => {
                let who = OPERATORS[operator];
                let result =
                    net.run(PURSE, |ctx| market::slash_bond(ctx, who, Amount::new(units), PURSE));
                if model.providers.contains_key(&who) {
                    let taken = model.slash(who, units);
                    assert_eq!(result.unwrap().units(), taken);
                    model.pay(PURSE, taken);
                } else {
                    refused(result, "market", 5);
                }
            }
            Act::SlashDuty { operator, units } => {
                let who = OPERATORS[operator];
                let result =
                    net.run(PURSE, |ctx| market::slash_duty(ctx, who, Amount::new(units), PURSE));
                let may = model.providers.contains_key(&who) && units <= model.duty(who);
                assert_eq!(result.is_ok(), may, "{result:?}");
                if may {
                    *model.duties.entry(who).or_default() -= units;
                    let queued = model.used(who).0;
                    let bond = &mut model.providers.get_mut(&who).unwrap().0;
                    let taken = units.min(*bond - queued);
                    *bond -= taken;
                    assert_eq!(result.unwrap().units(), taken);
                    model.pay(PURSE, taken);
                }
            }
            Act::Hold { job } => {
                let id = job as u64 + 1;
                let result = net.run(PURSE, |ctx| market::hold(ctx, id));
                let may = model
                    .jobs
                    .get(&id)
                    .is_some_and(|job| job.state() == JobState::Delivered && !job.held);
                assert_eq!(result.is_ok(), may, "{result:?}");
                if may {
                    model.jobs.get_mut(&id).unwrap().held = true;
                    assert_eq!(net.job(id), model.jobs[&id], "nothing else changes");
                }
            }
            Act::LetGo { job, how } => {
                let id = job as u64 + 1;
                let result = net.run(PURSE, |ctx| match how {
                    LetGo::Release => market::release(ctx, id).map(Some),
                    LetGo::Settle => market::settle_held(ctx, id).map(Some),
                    LetGo::Void => market::void_held(ctx, id).map(|()| None),
                });
                let held = model.jobs.get(&id).filter(|job| job.held).cloned();
                assert_eq!(result.is_ok(), held.is_some(), "{result:?}");
                let Some(old) = held else { continue };
                let terms = old.terms.unwrap();
                let passed = net.block.height >= old.delivered_height + terms.dispute_window_blocks
                    && net.block.time_s >= old.delivered_s + terms.dispute_window_s;
                let new = net.job(id);
                let then = match how {
                    LetGo::Void => JobState::Refunded,
                    LetGo::Release if !passed => JobState::Delivered,
                    _ => JobState::Settled,
                };
                assert_eq!((new.state(), new.held), (then, false));
                model.settle_up(&old, &new);
                model.jobs.insert(id, new);
            }
            Act::AuditFee { job, units: fee } => {
                let id = job as u64 + 1;
                let result =
                    net.run(PURSE, |ctx| market::set_audit_fee(ctx.store, id, Amount::new(fee)));
                let may = model.jobs.get(&id).is_some_and(|job| {
                    job.state() == JobState::Delivered
                        && fee <= provider_part(units(&job.charge_uxpl))
                });
                assert_eq!(result.is_ok(), may, "{result:?}");
                if may {
                    model.jobs.get_mut(&id).unwrap().audit_fee_uxpl = fee.to_string();
                }
            }
            Act::Block { seconds } => {
                let at = net.block.clone();
                net.end(1, seconds);
                let since = |model: &Model, id: u64| {
                    model.waited_since.get(&id).copied().unwrap_or(at.height)
                };
                let waits =
                    |model: &Model, id: u64, who: Address| model.has_claim(who, since(model, id));
                let waited: BTreeMap<u64, bool> = (model.withdrawals.iter())
                    .map(|(id, (who, ..))| (*id, waits(&model, *id, *who)))
                    .collect();
                model.follow(&net, &at);
                let due = |height: u64, time_s: u64| at.height >= height && at.time_s >= time_s;
                let released: Vec<u64> = model
                    .withdrawals
                    .iter()
                    .filter(|(_, (_, _, height, time_s))| due(*height, *time_s))
                    .map(|(id, _)| *id)
                    .collect();
                for id in released {
                    let (who, ..) = model.withdrawals[&id];
                    if net.store.get(&market::withdrawal_key(id)).is_some() {
                        assert!(waited[&id], "withdrawal {id} waits for nothing");
                        let since = since(&model, id);
                        model.waited_since.insert(id, since);
                        model.withdrawals.get_mut(&id).unwrap().2 = at.height + 10;
                        continue;
                    }
                    assert!(!waits(&model, id, who), "withdrawal {id} left a claim behind");
                    let (who, units, ..) = model.withdrawals.remove(&id).unwrap();
                    model.pay(who, units);
                    model.providers.get_mut(&who).unwrap().0 -= units;
                }
                for who in OPERATORS {
                    let Some((bond, Some((height, time_s)))) = model.providers.get(&who).copied()
                    else {
                        continue;
                    };
                    if net.provider(who).is_none() {
                        assert!(due(height, time_s), "nobody leaves early");
                        model.pay(who, bond);
                        model.providers.remove(&who);
                    }
                }
            }
        }
        for (who, units) in &model.balances {
            assert_eq!(net.balance(*who), *units, "balance of {who}");
        }
        assert_eq!(net.supply(), supply - model.burned);
        let duties: BTreeMap<_, _> =
            market::duty_locks(&net.store).map(|(who, locked)| (who, locked.units())).collect();
        model.duties.retain(|_, units| *units != 0);
        assert_eq!(duties, model.duties);
        let held = model.jobs.values().filter(|job| job.held).map(|job| job.id);
        assert!(market::held_jobs(&net.store).eq(held));
        for who in OPERATORS {
            assert_eq!(market::free_bond(&net.store, who).units(), model.free(who));
            let pending = model
                .jobs
                .values()
                .filter(|job| job.provider == who.text() && job.state() == JobState::Delivered);
            let pending: u128 = pending.map(|job| units(&job.charge_uxpl)).sum();
            assert_eq!(market::pending(&net.store, who).units(), pending);
        }
    }
    // Audits end, and duties with them.
    for (who, units) in std::mem::take(&mut model.duties) {
        net.run(PURSE, |ctx| market::unlock_duty(ctx.store, who, Amount::new(units))).unwrap();
    }
    for id in market::held_jobs(&net.store).collect::<Vec<_>>() {
        net.run(PURSE, |ctx| market::release(ctx, id)).unwrap();
    }
    // Whatever happened, everything ends: no money stays in escrow and every payload goes.
    for who in OPERATORS {
        let _ = net.leave(who);
    }
    net.end(80, 10);
    assert_eq!(net.balance(Address::of_module(market::ESCROW)), 0);
    assert_eq!(net.balance(Address::of_module(market::BONDS)), 0);
    for id in model.jobs.keys() {
        assert!(matches!(net.job(*id).state(), JobState::Settled | JobState::Refunded));
        assert!(market::payload(&net.store, *id).is_none());
    }
    assert!(OPERATORS.iter().all(|who| net.provider(*who).is_none()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_market_agrees_with_a_plain_reading_of_its_rules(
        acts in proptest::collection::vec(act(), 1..120),
    ) {
        let start = (0..3).map(|operator| Act::Register { operator, bond: 75_000, price: 1_000_000 });
        play(start.chain(acts).collect());
    }
}
