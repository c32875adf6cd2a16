//! Gives back to the kernel what only starting needed.
//!
//! A hub at rest is mostly pages of its own program. For each that is touched, the kernel maps the
//! fifteen around it as well (`fault_around_bytes`, mm/memory.c), and on x86 it takes all of them
//! for used, so that it would rather take pages of others. Code that is needed after all is mapped
//! again, from the page cache and in microseconds.

use rustix::mm::{Advice, madvise};
use std::fs;
use std::io;

/// Unmaps all code that was mapped so far.
///
/// # Errors
/// When the kernel does not say what is mapped, or refuses.
#[expect(unsafe_code, reason = "it is about addresses")]
pub(crate) fn give_back() -> io::Result<()> {
    let smaps = fs::read_to_string("/proc/self/smaps")?;
    for (from, to) in code(&smaps) {
        // SAFETY: the kernel says that this is mapped, cannot be written, and is as it is in its
        // file, so that whoever touches it finds what was there before. Nothing here unmaps code:
        // what `dlopen` has loaded stays until the program ends.
        unsafe { madvise(from as *mut _, to - from, Advice::LinuxDontNeed)? };
    }
    Ok(())
}

/// Where code of files is mapped of which no page was changed (proc(5), `smaps`).
fn code(smaps: &str) -> Vec<(usize, usize)> {
    let mut found = vec![];
    let mut at = None;
    for line in smaps.lines() {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        if let Some((from, to)) = first.split_once('-') {
            let range =
                usize::from_str_radix(from, 16).ok().zip(usize::from_str_radix(to, 16).ok());
            let is_code = words.next() == Some("r-xp");
            let is_file = words.nth(2).is_some_and(|inode| inode != "0");
            at = range.filter(|(from, to)| is_code && is_file && from < to);
        } else if first == "Anonymous:" && words.next() == Some("0") {
            // a debugger's breakpoints are in pages of this program's own
            found.extend(at.take());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &str = "\
55870507e000-558706e0c000 r-xp 00faa000 fe:00 10477694                   /usr/bin/farhub
Size:              30264 kB
Anonymous:             0 kB
VmFlags: rd ex mr mw me sd
558706e0c000-558706faa000 r--p 02d37000 fe:00 10477694                   /usr/bin/farhub
Anonymous:          1656 kB
7f37f8aca000-7f37f8c20000 r-xp 00026000 fe:00 326279                     /usr/lib/libc.so.6
Anonymous:             8 kB
7f37f8c96000-7f37f8d0a000 rw-p 00010000 fe:00 326603                     /usr/lib/libm.so.6
Anonymous:             0 kB
7ffe1d3f2000-7ffe1d3f4000 r-xp 00000000 00:00 0                          [vdso]
Anonymous:             0 kB
";

    #[test]
    fn only_code_that_is_as_in_its_file_is_given_back() {
        assert_eq!(code(SMAPS), [(0x5587_0507_e000, 0x5587_06e0_c000)]);
        assert_eq!(code("nonsense-here r-xp 0 0 7\nAnonymous: 0 kB\n"), []);
    }

    #[test]
    fn what_was_given_back_is_still_there() {
        let own = code(&fs::read_to_string("/proc/self/smaps").unwrap());
        let here = give_back as fn() -> io::Result<()> as usize;
        assert!(own.iter().any(|(from, to)| (*from..*to).contains(&here)), "{own:x?}");
        give_back().unwrap();
        assert_eq!(code(SMAPS).len(), 1);
    }
}
