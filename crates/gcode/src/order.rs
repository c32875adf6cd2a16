//! Answers of ours among the answers of the machine.
//!
//! A program that counts characters gives each `ok` and `error:N` to the oldest line that it has
//! under way. An answer of ours that overtakes those of earlier lines would free the room of a
//! line that is still in the controller. So ours waits for its place.

use std::collections::VecDeque;

/// A program has few lines under way: a controller holds no more than 128 of one byte or so.
/// Beyond this an answer is given at once, rather than never.
pub const HELD_MAX: usize = 1024;

/// Which lines of a program have been answered.
#[derive(Clone, Debug, Default)]
pub struct Order {
    /// Lines with the machine, and then an answer of ours, in turns.
    held: VecDeque<(u32, Vec<u8>)>,
    /// Lines with the machine after the last of ours.
    waiting: u32,
}

impl Order {
    /// A line went to the machine, which will answer it.
    pub fn passed(&mut self) {
        self.waiting = self.waiting.saturating_add(1);
    }

    /// A line did not go to the machine. The answer comes back when its place has come: at once,
    /// or from [`Order::answered`].
    #[must_use]
    pub fn refused(&mut self, answer: Vec<u8>) -> Option<Vec<u8>> {
        if (self.waiting == 0 && self.held.is_empty()) || self.held.len() >= HELD_MAX {
            return Some(answer);
        }
        self.held.push_back((std::mem::take(&mut self.waiting), answer));
        None
    }

    /// The machine has answered a line. What comes back is to be said after that answer.
    #[must_use]
    pub fn answered(&mut self) -> Vec<u8> {
        match self.held.front_mut() {
            Some((before, _)) => *before = before.saturating_sub(1),
            None => self.waiting = self.waiting.saturating_sub(1),
        }
        let mut due = Vec::new();
        while let Some((_, mut answer)) = self.held.pop_front_if(|(before, _)| *before == 0) {
            due.append(&mut answer);
        }
        due
    }

    /// The machine has started anew, and answers nothing of before; nobody waits for it.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_answer_waits_for_those_before_it() {
        let mut order = Order::default();
        assert_eq!(order.refused(b"a".to_vec()), Some(b"a".to_vec()));
        order.passed();
        order.passed();
        assert_eq!(order.refused(b"b".to_vec()), None);
        assert_eq!(order.refused(b"c".to_vec()), None);
        order.passed();
        assert_eq!(order.answered(), b"");
        assert_eq!(order.answered(), b"bc");
        assert_eq!(order.refused(b"d".to_vec()), None);
        assert_eq!(order.answered(), b"d");
        assert_eq!(order.answered(), b"");
        assert_eq!(order.refused(b"e".to_vec()), Some(b"e".to_vec()));
    }

    proptest! {
        #[test]
        fn every_answer_comes_once_and_in_its_place(
            lines in prop::collection::vec(any::<bool>(), 0..60),
        ) {
            let mut order = Order::default();
            let (mut heard, mut with_machine) = (Vec::new(), VecDeque::new());
            for (at, passes) in (0u8..).zip(&lines) {
                if *passes {
                    order.passed();
                    with_machine.push_back(at);
                } else if let Some(answer) = order.refused(vec![at]) {
                    heard.extend(answer);
                }
            }
            while let Some(at) = with_machine.pop_front() {
                heard.push(at);
                heard.extend(order.answered());
            }
            let expected: Vec<u8> = (0u8..).take(lines.len()).collect();
            prop_assert_eq!(heard, expected);
        }
    }
}
