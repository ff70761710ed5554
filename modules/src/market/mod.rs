#![doc = include_str!("README.md")]

mod block;
mod digests;
mod duty;
mod error;
mod event;
pub(crate) mod gas;
mod genesis;
mod handler;
mod held;
mod invariant;
mod matching;
mod msg;
mod params;
mod price;
mod provider;
mod query;
mod settled;
mod state;
mod timer;

pub use block::end_block;
pub use digests::{decline_digest, model_id, register_digest, request_hash};
pub use duty::{
    always_failed, duty_locks, free_bond, lock_duty, pending, slash_bond, slash_duty, unlock_duty,
};
pub use error::Error;
pub use genesis::{default_genesis, export, init};
pub(crate) use handler::{Tokens, client_fault, deliver, host_error};
pub use handler::{cancel_job, decline_job, publish_model, submit_job};
pub use held::{
    Released, audit_fee_max, held_jobs, hold, release, set_audit_fee, settle_held, void_held,
};
pub use invariant::{
    bonds_are_sum_of_providers, busy_is_count_of_jobs, check_invariants,
    escrow_is_sum_of_open_jobs, every_job_balances_its_escrow, every_object_has_its_appointment,
    held_jobs_are_delivered, jobs_are_counted_once, locked_is_sum_of_jobs,
    pending_is_sum_of_delivered_jobs, queued_is_sum_of_withdrawals,
    receipt_keys_belong_to_providers,
};
pub use msg::{
    AddBond, CancelJob, DeclineJob, DeregisterProvider, PublishModel, RegisterProvider, SubmitJob,
    TEMPERATURE_MILLI_MAX, UpdateProvider, WithdrawBond,
};
pub use params::{UpdateParams, default_params, update_params, validate as validate_params};
pub use price::{PRICE_UXPL_PER_MTOK_MAX, bond_lock, charge, quote, terms};
pub use provider::{
    add_bond, bond_uxpl_s, bonded_slots, deregister_provider, register_provider, standing_bond,
    update_provider, withdraw_bond,
};
pub use query::routes;
pub use settled::{SETTLED_PER_BLOCK_MAX, take_settled};
pub use state::{
    AUDITS, BONDS, ESCROW, audit_purse, busy_payers, job, job_key, job_terms, model, model_key,
    offer, offer_key, params, payload, payload_key, provider, provider_key, rebuild_derived,
    withdrawal_key,
};
