//! What became of each command of a case: what another server's play is compared by.

use super::Player;
use super::ending::Ending;
use super::expect::Actual;
use crate::verdict::Answered;

/// A command that a case sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The step that sent it, from 1.
    pub step: usize,
    /// Its number in the transcript.
    pub sent: usize,
    /// The number of its reply.
    pub reply: Option<usize>,
    /// What became of it, and that in words; `None` where no line asked for it, or the play ended before.
    pub became: Option<(Answered, String)>,
}

impl Player<'_> {
    /// What became of each command, in the order of their sending; the harness's own are left out.
    pub(super) fn exchanges(&mut self) -> Vec<Exchange> {
        let of_case: Vec<usize> = self
            .talk
            .sent
            .iter()
            .enumerate()
            .filter(|(_, sent)| sent.origin.step > 0)
            .map(|(index, _)| index)
            .collect();
        of_case.into_iter().filter_map(|index| self.exchange(index)).collect()
    }

    fn exchange(&mut self, index: usize) -> Option<Exchange> {
        let sent = self.talk.sent.get(index)?;
        let (step, entry, asked) = (sent.origin.step, sent.entry, sent.claimed);
        let reply = sent.answer.as_ref().map(|answer| answer.entry);
        let became = asked.then(|| {
            let actual = self.actual(index);
            let answered = match &actual {
                Actual::Ok => Answered::Success,
                Actual::Error(number) => Answered::Error(*number),
                Actual::Silent => Answered::Silence,
                Actual::Ended(Ending::Closed(_)) => Answered::Closed,
                Actual::Ended(Ending::Crashed(..)) => Answered::Crashed,
                Actual::Ended(Ending::Garbage(_)) => Answered::Garbage,
                Actual::Ended(Ending::Refused(_) | Ending::Unserved(_)) => Answered::NoSession,
            };
            (answered, self.say(index, &actual).lines().next().unwrap_or_default().to_owned())
        });
        Some(Exchange { step, sent: entry, reply, became })
    }
}
