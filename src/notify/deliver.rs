//! Delivery: each waiting notice to each target, tried again where that helps, every step in the journal before it is taken.
//!
//! A target that cannot be reached is given up for this run after its tries: what waits for it waits on. One notice that a
//! receiver refuses does not keep the others from it. Waiting is the caller's: tests wait for nothing.

use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use super::{Entry, Journal, Notice, Target, Unsure};
use crate::error::{Error, Result};

/// Sends notices to one target.
pub trait Carrier: std::fmt::Debug {
    /// One try. `repeated` is true if an earlier one may have arrived.
    fn carry(&self, notice: &Notice, repeated: bool) -> Answer;
}

/// How a try went. The words hold no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The receiver has it.
    Taken,
    /// The receiver does not want it: another try would end the same.
    Refused(String),
    /// Another try may help.
    Again {
        /// What went wrong.
        reason: String,
        /// The receiver asks to wait so long.
        after: Option<Duration>,
        /// It may have arrived all the same.
        unsure: bool,
    },
}

/// A target that is ready.
#[derive(Debug)]
pub struct Sender {
    /// Where to.
    pub target: Target,
    /// By whom.
    pub carrier: Box<dyn Carrier>,
}

/// How delivery to a target went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// The target.
    pub target: String,
    /// Sent in this run.
    pub sent: usize,
    /// Of this run's incidents, those that were sent before.
    pub known: usize,
    /// Not sent because they may have arrived, and the target says `hold`.
    pub held: usize,
    /// Not sent: the next run tries again.
    pub waiting: usize,
    /// Why, of the first of them.
    pub reason: Option<String>,
}

/// Sends each notice to each target that wants its severity, and what waits from earlier runs.
///
/// # Errors
/// `Output` if the journal cannot be written: nothing is sent that it does not know of.
pub fn deliver(
    senders: &[Sender],
    notices: &[Notice],
    journal: &mut Journal,
    pause: &mut dyn FnMut(Duration),
) -> Result<Vec<Told>> {
    let mut all: Vec<Told> = senders.iter().map(|s| enqueue(&s.target, notices, journal)).collect();
    journal.save()?;
    for (sender, told) in senders.iter().zip(&mut all) {
        to_target(sender, journal, told, pause)?;
    }
    Ok(all)
}

/// Puts what the target wants and does not have into the journal.
fn enqueue(target: &Target, notices: &[Notice], journal: &mut Journal) -> Told {
    let mut told = Told {
        target: target.name.clone(),
        ..Told::default()
    };
    for notice in notices.iter().filter(|n| n.severity >= target.least) {
        let unsure = match journal.entry(&target.name, &notice.id) {
            Some(Entry::Sent) => {
                told.known += 1;
                continue;
            }
            Some(Entry::Waiting { unsure, .. }) => *unsure,
            None => false,
        };
        let finding = notice.finding.to_string();
        journal.set(&target.name, &notice.id, Entry::Waiting { finding, unsure });
    }
    told
}

fn to_target(sender: &Sender, journal: &mut Journal, told: &mut Told, pause: &mut dyn FnMut(Duration)) -> Result<()> {
    let name = &sender.target.name;
    let mut reachable = true;
    for (notice, was_unsure) in sorted(journal, name)? {
        if was_unsure && sender.target.unsure == Unsure::Hold {
            told.held += 1;
            continue;
        }
        if !reachable {
            told.waiting += 1;
            continue;
        }
        let finding = notice.finding.to_string();
        let begun = Entry::Waiting {
            finding: finding.clone(),
            unsure: true,
        };
        journal.set(name, &notice.id, begun);
        journal.save()?;
        let (end, unsure) = attempt(sender, &notice, was_unsure, pause);
        match end {
            Answer::Taken => told.sent += 1,
            Answer::Refused(ref reason) | Answer::Again { ref reason, .. } => {
                told.waiting += 1;
                told.reason.get_or_insert_with(|| reason.clone());
                reachable = matches!(end, Answer::Refused(_));
            }
        }
        let entry = match end {
            Answer::Taken => Entry::Sent,
            _ => Entry::Waiting { finding, unsure },
        };
        journal.set(name, &notice.id, entry);
        journal.save()?;
    }
    Ok(())
}

/// What waits for a target, the worst first.
fn sorted(journal: &Journal, target: &str) -> Result<Vec<(Notice, bool)>> {
    let mut all = Vec::new();
    for (_, finding, unsure) in journal.waiting(target) {
        let finding = serde_json::from_str(&finding).map_err(|_| Error::list("the journal holds no incident"))?;
        all.push((Notice::of(finding)?, unsure));
    }
    all.sort_by(|(a, _), (b, _)| (b.severity, &a.id).cmp(&(a.severity, &b.id)));
    Ok(all)
}

/// The tries of one notice: how the last went, and whether any of them may have arrived.
fn attempt(sender: &Sender, notice: &Notice, was_unsure: bool, pause: &mut dyn FnMut(Duration)) -> (Answer, bool) {
    let mut may_be_there = was_unsure;
    let mut tries = 1;
    loop {
        let answer = sender.carrier.carry(notice, may_be_there);
        let Answer::Again { after, unsure, .. } = &answer else {
            return (answer, may_be_there);
        };
        may_be_there |= unsure;
        let held = may_be_there && sender.target.unsure == Unsure::Hold;
        if held || tries >= sender.target.tries {
            return (answer, may_be_there);
        }
        pause(wait(tries, *after));
        tries += 1;
    }
}

const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(20);
const MOST_ASKED: Duration = Duration::from_secs(60);

/// How long to wait after try `n` (from 1): twice as long each time, half of it at random, so that many senders do not come
/// back at once; as long as the receiver asks for, within a minute.
fn wait(n: u32, after: Option<Duration>) -> Duration {
    let most = FIRST_WAIT.saturating_mul(1 << (n - 1).min(16)).min(LONGEST_WAIT);
    let random = std::hash::RandomState::new().build_hasher().finish() % 1_000;
    let jittered = most.mul_f64(0.5 + random as f64 / 2_000.0);
    after.map_or(jittered, |a| a.min(MOST_ASKED).max(jittered))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::notice::tests::sample;
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::rc::Rc;

    /// Answers by a list, and knows what arrived: a try that ends unsure has arrived.
    #[derive(Debug, Default)]
    struct Scripted {
        answers: RefCell<Vec<Answer>>,
        arrived: Rc<RefCell<BTreeMap<String, usize>>>,
    }

    impl Carrier for Scripted {
        fn carry(&self, notice: &Notice, _: bool) -> Answer {
            let answer = self.answers.borrow_mut().pop().unwrap_or(Answer::Taken);
            if matches!(answer, Answer::Taken | Answer::Again { unsure: true, .. }) {
                *self.arrived.borrow_mut().entry(notice.id.clone()).or_default() += 1;
            }
            answer
        }
    }

    fn again(unsure: bool) -> Answer {
        Answer::Again {
            reason: "no".into(),
            after: None,
            unsure,
        }
    }

    struct World {
        folder: tempfile::TempDir,
        arrived: Rc<RefCell<BTreeMap<String, usize>>>,
    }

    impl World {
        fn new() -> World {
            World {
                folder: tempfile::tempdir().unwrap(),
                arrived: Rc::default(),
            }
        }

        fn journal(&self) -> std::path::PathBuf {
            self.folder.path().join("journal")
        }

        /// A run; answers come in this order, then all is taken.
        fn run(&self, settings: &str, mut answers: Vec<Answer>, notices: &[Notice]) -> (Told, usize) {
            answers.reverse();
            let table = format!("kind = \"webhook\"\n{settings}").parse().unwrap();
            let sender = Sender {
                target: Target::read("t", &table).unwrap(),
                carrier: Box::new(Scripted {
                    answers: RefCell::new(answers),
                    arrived: self.arrived.clone(),
                }),
            };
            let mut waits = 0;
            let mut journal = Journal::open(&self.journal()).unwrap();
            let told = deliver(&[sender], notices, &mut journal, &mut |_| waits += 1).unwrap();
            (told.into_iter().next().unwrap(), waits)
        }

        fn arrived(&self) -> Vec<usize> {
            self.arrived.borrow().values().copied().collect()
        }
    }

    fn three() -> Vec<Notice> {
        let named = |n: u32| {
            let mut finding = sample().finding;
            finding["id"] = format!("inc-{n}").into();
            Notice::of(finding).unwrap()
        };
        (1..=3).map(named).collect()
    }

    #[test]
    fn each_is_sent_once_over_many_runs() {
        let world = World::new();
        let (told, waits) = world.run("", vec![again(false), again(false)], &three());
        assert_eq!((told.sent, told.waiting, waits), (3, 0, 2));
        let (told, _) = world.run("", Vec::new(), &three());
        assert_eq!((told.sent, told.known), (0, 3));
        assert_eq!(world.arrived(), [1, 1, 1]);
    }

    #[test]
    fn a_dead_target_is_given_up_for_the_run_and_what_waits_is_sent_by_the_next() {
        let world = World::new();
        let (told, waits) = world.run("tries = 3", vec![again(false); 3], &three());
        assert_eq!((told.sent, told.waiting, waits), (0, 3, 2), "bounded: not nine tries");
        assert_eq!(told.reason.as_deref(), Some("no"));
        let (told, _) = world.run("", Vec::new(), &[]);
        assert_eq!((told.sent, told.known), (3, 0), "the next run read nothing of them");
        assert_eq!(world.arrived(), [1, 1, 1]);
    }

    #[test]
    fn a_refused_notice_does_not_keep_the_others() {
        let world = World::new();
        let (told, waits) = world.run("", vec![Answer::Refused("bad".into())], &three());
        assert_eq!((told.sent, told.waiting, waits), (2, 1, 0));
    }

    #[test]
    fn what_may_have_arrived_is_repeated_or_held() {
        let world = World::new();
        let (told, _) = world.run("if-unsure = \"hold\"", vec![again(true)], &three());
        assert_eq!((told.sent, told.waiting), (0, 3));
        let (told, _) = world.run("if-unsure = \"hold\"", Vec::new(), &three());
        assert_eq!((told.sent, told.held), (2, 1));
        assert_eq!(world.arrived(), [1, 1, 1], "never twice");
        let (told, _) = world.run("if-unsure = \"repeat\"", Vec::new(), &three());
        assert_eq!((told.sent, told.known), (1, 2));
        assert_eq!(world.arrived(), [2, 1, 1], "never lost");
    }

    #[test]
    fn below_the_targets_severity_nothing_is_sent_or_kept() {
        let world = World::new();
        let (told, _) = world.run("min-severity = \"critical\"", Vec::new(), &three());
        assert_eq!((told.sent, told.known, told.waiting), (0, 0, 0));
        let (told, _) = world.run("min-severity = \"medium\"", Vec::new(), &three());
        assert_eq!(told.sent, 3);
    }

    /// Looks into the journal while it sends, as a killed run would leave it.
    #[derive(Debug)]
    struct Spy(std::path::PathBuf, Rc<RefCell<Vec<usize>>>);

    impl Carrier for Spy {
        fn carry(&self, _: &Notice, _: bool) -> Answer {
            let copy = self.0.with_extension("copy");
            std::fs::copy(&self.0, &copy).unwrap();
            let waiting = Journal::open(Path::new(&copy)).unwrap().waiting("t");
            self.1.borrow_mut().push(waiting.iter().filter(|w| w.2).count());
            Answer::Taken
        }
    }

    #[test]
    fn a_try_is_on_disk_before_it_is_made() {
        let world = World::new();
        let seen = Rc::new(RefCell::new(Vec::new()));
        let sender = Sender {
            target: Target::read("t", &"kind = \"webhook\"".parse().unwrap()).unwrap(),
            carrier: Box::new(Spy(world.journal(), seen.clone())),
        };
        let mut journal = Journal::open(&world.journal()).unwrap();
        deliver(&[sender], &three(), &mut journal, &mut |_| {}).unwrap();
        assert_eq!(*seen.borrow(), [1, 1, 1], "one begun, those before it sent");
    }

    #[test]
    fn waits_grow_are_bounded_and_heed_the_receiver() {
        for n in 1..40 {
            let w = wait(n, None);
            assert!(w <= LONGEST_WAIT && w >= FIRST_WAIT / 2);
        }
        assert!(wait(9, None) > wait(1, None));
        assert_eq!(wait(1, Some(Duration::from_secs(5))), Duration::from_secs(5));
        assert_eq!(wait(1, Some(Duration::from_secs(9_999))), MOST_ASKED);
    }
}
