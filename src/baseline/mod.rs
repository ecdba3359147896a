//! baseline: what is normal for this interface, at this hour, towards this kind of destination?
//!
//! In come the rows of the aggregate, a day at a time; out come the raw counts that were learned ([`Baseline`], which
//! merges by addition and union) and what follows from them ([`Profiles`]: histograms, seasons, peer groups). Whoever
//! judges a day asks the profiles of the days before it, and teaches the day afterwards: nothing is judged by its future.

pub mod band;
pub mod day;
pub mod file;
pub mod group;
pub mod judge;
mod lesson;
pub mod place;
pub mod profile;
pub mod sample;
pub mod season;
pub mod series;
pub mod state;

pub use band::{BandHour, bands};
pub use day::{ActorDay, DayView, PlaceDay};
pub use file::Merged;
pub use judge::Deviation;
pub use place::{Channel, Day, HOURS, Places, channel, day_of, place};
pub use profile::{Learning, Novelty, Profile, Profiles, STEADY_HOURS};
pub use sample::Sample;
pub use series::SeriesScorer;
pub use state::{Accepted, Baseline, Bounds, Fresh, InterfaceHistory, Seen};
