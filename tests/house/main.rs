//! The rules of the house, kept by reading its source; ARCHITECTURE.md says what each of them is good for.
//!
//! A rule is a function from the source tree to its faults. Each is tried twice: on the house itself,
//! and on small sources that break it, so that no rule can pass by seeing nothing.
//! `HOUSE_ROOT=/another/checkout cargo test --test house` reads another tree.

#![cfg(test)]

mod fault;
mod tree;

mod mentions;

mod floors;
mod staircase;

mod circles;

mod pingora;

mod shape;

mod opening;

mod naming;

mod marks;

mod reach;
