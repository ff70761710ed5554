//! Which job runs next: a pure function of what the chain assigned and what runs here.

use std::collections::{BTreeMap, BTreeSet};

/// One assignment of one job.
pub type Assignment = (u64, u32);
/// Id of a model.
pub type ModelId = [u8; 32];

/// A job that the chain has assigned to this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assigned {
    /// Job and attempt.
    pub assignment: Assignment,
    /// Model that it wants.
    pub model_id: ModelId,
    /// Chain time at which the assignment has run out, seconds.
    pub due_s: u64,
    /// How long it is expected to take, delivery included, seconds.
    pub estimate_s: u64,
}

/// Why a job is passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// This node does not serve the model.
    NotServed,
    /// It would not be done in time.
    NoTime,
}

impl Why {
    /// For people.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::NotServed => "this node does not serve the model now",
            Self::NoTime => "it could not be done in time",
        }
    }
}

/// What is to be done now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// To be started, in this order.
    pub start: Vec<Assignment>,
    /// To be passed on.
    pub decline: Vec<(Assignment, Why)>,
    /// Running, but no longer assigned: to be stopped.
    pub stop: Vec<Assignment>,
}

/// When an assignment has run out, in chain time: the chain waits for blocks and seconds, so for the later.
#[must_use]
pub fn due_s(
    now_s: u64,
    height: u64,
    assigned: (u64, u64),
    timeout_blocks: u64,
    timeout_s: u64,
    block_ms: u64,
) -> u64 {
    let (assigned_height, assigned_s) = assigned;
    let blocks = assigned_height.saturating_add(timeout_blocks).saturating_sub(height);
    let by_blocks = now_s.saturating_add(blocks.saturating_mul(block_ms) / 1000);
    assigned_s.saturating_add(timeout_s).max(by_blocks)
}

/// Plans. `answered` are the assignments that have an answer already, sent or not; they are left alone, and so
/// are those that have run out. The job that runs out first is started first, while its model has a free slot.
#[must_use]
pub fn plan(
    now_s: u64,
    assigned: &[Assigned],
    running: &BTreeMap<Assignment, ModelId>,
    answered: &BTreeSet<Assignment>,
    slots: &BTreeMap<ModelId, u32>,
) -> Plan {
    let current: BTreeSet<Assignment> = assigned.iter().map(|job| job.assignment).collect();
    let stop = running.keys().filter(|job| !current.contains(job)).copied().collect();

    let mut free = slots.clone();
    for model in running.values() {
        if let Some(slots) = free.get_mut(model) {
            *slots = slots.saturating_sub(1);
        }
    }
    let mut waiting: Vec<&Assigned> = assigned
        .iter()
        .filter(|job| !running.contains_key(&job.assignment) && !answered.contains(&job.assignment))
        .filter(|job| now_s < job.due_s)
        .collect();
    // Pages that were read while the chain went on may tell of a job twice.
    let mut seen = BTreeSet::new();
    waiting.retain(|job| seen.insert(job.assignment));
    waiting.sort_by_key(|job| (job.due_s, job.assignment));

    let mut plan = Plan { stop, ..Plan::default() };
    for job in waiting {
        match free.get_mut(&job.model_id) {
            None => plan.decline.push((job.assignment, Why::NotServed)),
            Some(_) if now_s.saturating_add(job.estimate_s) > job.due_s => {
                plan.decline.push((job.assignment, Why::NoTime));
            }
            Some(0) => {}
            Some(slots) => {
                *slots -= 1;
                plan.start.push(job.assignment);
            }
        }
    }
    plan
}

/// How long jobs take here: moving averages that begin at nothing, so that the first job is always tried.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pace {
    /// Per token written, microseconds.
    us_per_token: u64,
}

impl Pace {
    /// Weight of the newest job: one part in so many.
    const PARTS: u64 = 4;

    /// Learns from a job that is done.
    pub fn learn(&mut self, tokens: usize, total: std::time::Duration) {
        let tokens = u64::try_from(tokens).unwrap_or(u64::MAX).max(1);
        let new = u64::try_from(total.as_micros()).unwrap_or(u64::MAX) / tokens;
        self.us_per_token = match self.us_per_token {
            0 => new,
            old => (old / Self::PARTS)
                .saturating_mul(Self::PARTS - 1)
                .saturating_add(new / Self::PARTS),
        };
    }

    /// What a job of so many tokens takes at most, seconds, rounded up.
    #[must_use]
    pub fn estimate_s(&self, max_tokens: u32) -> u64 {
        self.us_per_token.saturating_mul(max_tokens.into()).div_ceil(1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn job(id: u64, model: u8, due_s: u64, estimate_s: u64) -> Assigned {
        Assigned { assignment: (id, 1), model_id: [model; 32], due_s, estimate_s }
    }

    #[test]
    fn the_first_to_run_out_runs_first() {
        let jobs = [
            job(1, 1, 90, 1),
            job(2, 1, 50, 1),
            job(3, 2, 70, 1),
            job(4, 9, 70, 1),
            job(5, 1, 20, 11),
        ];
        let slots = BTreeMap::from([([1; 32], 1), ([2; 32], 1)]);
        let plan = plan(10, &jobs, &BTreeMap::new(), &BTreeSet::new(), &slots);
        assert_eq!(plan.start, [(2, 1), (3, 1)]);
        assert_eq!(plan.decline, [((5, 1), Why::NoTime), ((4, 1), Why::NotServed)]);
        assert_eq!(plan.stop, []);
    }

    #[test]
    fn the_later_of_blocks_and_seconds_counts() {
        assert_eq!(due_s(100, 10, (10, 100), 20, 0, 1000), 120);
        assert_eq!(due_s(100, 10, (10, 100), 20, 300, 1000), 400);
        assert_eq!(due_s(130, 40, (10, 100), 20, 0, 1000), 130, "run out");
        assert_eq!(due_s(u64::MAX, 0, (u64::MAX, 1), u64::MAX, u64::MAX, u64::MAX), u64::MAX);
    }

    #[test]
    fn the_pace_is_learnt() {
        let mut pace = Pace::default();
        assert_eq!(pace.estimate_s(1000), 0);
        pace.learn(100, Duration::from_secs(10));
        assert_eq!(pace.estimate_s(100), 10);
        pace.learn(100, Duration::from_secs(50));
        assert_eq!(pace.estimate_s(100), 20);
        pace.learn(0, Duration::MAX);
        let _ = pace.estimate_s(u32::MAX);
    }

    fn assignments() -> impl Strategy<Value = Assignment> {
        (0u64..20, 1u32..3)
    }

    prop_compose! {
        fn jobs()(raw in proptest::collection::btree_map(assignments(), (0u8..4, 0u64..40, 0u64..20), 0..30)) -> Vec<Assigned> {
            raw.into_iter()
                .map(|(assignment, (model, due_s, estimate_s))| Assigned {
                    assignment,
                    model_id: [model; 32],
                    due_s,
                    estimate_s,
                })
                .collect()
        }
    }

    proptest! {
        #[test]
        fn plans_keep_their_promises(
            now_s in 0u64..30,
            jobs in jobs(),
            running in proptest::collection::btree_map(assignments(), (0u8..4).prop_map(|m| [m; 32]), 0..6),
            answered in proptest::collection::btree_set(assignments(), 0..6),
            slots in proptest::collection::btree_map((0u8..3).prop_map(|m| [m; 32]), 0u32..4, 0..3),
        ) {
            let plan = plan(now_s, &jobs, &running, &answered, &slots);
            let of = |assignment: &Assignment| jobs.iter().find(|job| job.assignment == *assignment);
            let mut used: BTreeMap<ModelId, u32> = BTreeMap::new();
            for model in running.values() {
                *used.entry(*model).or_default() += 1;
            }
            let before = used.clone();
            let mut touched = BTreeSet::new();
            let declined = plan.decline.iter().map(|(assignment, _)| assignment);
            for assignment in plan.start.iter().chain(declined) {
                prop_assert!(touched.insert(*assignment), "each once");
                prop_assert!(!running.contains_key(assignment) && !answered.contains(assignment));
                prop_assert!(of(assignment).is_some_and(|job| now_s < job.due_s), "only what is assigned");
            }
            let mut last = 0;
            for job in plan.start.iter().filter_map(of) {
                prop_assert!(now_s + job.estimate_s <= job.due_s, "only what can be done in time");
                prop_assert!(job.due_s >= last, "the first to run out first");
                last = job.due_s;
                *used.entry(job.model_id).or_default() += 1;
            }
            for (model, used) in &used {
                let before = before.get(model).copied().unwrap_or(0);
                prop_assert!(*used <= slots.get(model).copied().unwrap_or(0).max(before), "slots are kept");
            }
            for assignment in running.keys() {
                prop_assert_eq!(plan.stop.contains(assignment), of(assignment).is_none());
            }
            for job in &jobs {
                let left = [touched.contains(&job.assignment), running.contains_key(&job.assignment)];
                if left == [false, false] && !answered.contains(&job.assignment) && now_s < job.due_s {
                    let used = used.get(&job.model_id).copied().unwrap_or(0);
                    prop_assert!(slots.get(&job.model_id).is_some_and(|slots| used >= *slots), "nobody waits beside a free slot");
                }
            }
            let twice: Vec<Assigned> = jobs.iter().chain(&jobs).cloned().collect();
            prop_assert_eq!(super::plan(now_s, &twice, &running, &answered, &slots), plan);
        }
    }
}
