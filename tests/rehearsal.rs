//! Cases against the model alone: every case that is compiled in is at one with it, and one that is not is found.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use vfio_user_conformance::Profile;
use vfio_user_conformance::case::{Source, parse};
use vfio_user_conformance::requirement::Register;
use vfio_user_conformance::run::{Library, PaperTarget, Plan, Rehearsal, Timeouts, rehearse as rehearse_one};
use vfio_user_conformance::session::Interrupt;
use vfio_user_conformance::target::{Launcher, Target, probe, spoken};
use vfio_user_wire::{Body, Dialect, Direction, Message, message};

const SQUEAK: Message = Message {
    name: "SQUEAK",
    direction: Direction::ToServer,
    request: Body::EMPTY,
    reply: Body::EMPTY,
    variants: &[],
    clause: "The toy's manual, 1-2",
};
/// A dialect with a message that the model has never heard of.
const TOY: Dialect = Dialect { name: "toy", table: None, commands: &[(1, &message::VERSION), (30, &SQUEAK)] };

fn rehearse(plan: &Plan, profile: Profile) -> Vec<String> {
    let target = PaperTarget::bundled(profile).unwrap();
    let errors = target.rehearse(plan, &Interrupt::new().unwrap());
    errors.iter().map(|(source, error)| error.render(source, false)).collect()
}

fn errors_of(text: &str) -> Vec<String> {
    let source = Arc::new(Source { name: "wrong.case".to_owned(), text: text.to_owned() });
    let cases = parse(&source).unwrap();
    let plan = Plan::new(&[(source, cases)], &[], Profile::V0_9_2, &Register::bundled().unwrap());
    rehearse(&plan.unwrap(), Profile::V0_9_2)
}

#[test]
fn every_bundled_case_is_at_one_with_the_model() {
    let register = Register::bundled().unwrap();
    let library = Library::bundled(&register).unwrap();
    for profile in Profile::ALL {
        let errors = rehearse(&library.plan(profile, &register).unwrap(), profile);
        assert!(errors.is_empty(), "{profile}\n{}", errors.join("\n"));
    }
}

#[test]
fn the_targets_on_paper_are_the_conformance_device() {
    let (timeouts, interrupt) = (Timeouts::default(), Interrupt::new().unwrap());
    for profile in Profile::ALL {
        let paper = PaperTarget::bundled(profile).unwrap();
        let command = [env!("CARGO_BIN_EXE_vfio-user-conformance"), "reference-server", "--profile", profile.name()];
        let more: &[&str] = if profile == Profile::V0_9_2 { &[] } else { &["--with", "pfn-query"] };
        let command = command.iter().chain(more).map(|word| (*word).to_owned()).collect();
        let launcher = Launcher::new(Target::Spawn { command, socket: None }, timeouts.start, false).unwrap();
        let found = probe(profile, &launcher, Some(&paper.device), timeouts, &interrupt).unwrap();
        assert!(
            found == paper.discovered,
            "fixtures/targets is not what a probe finds (`probe --profile {profile} --format json` prints it as `discovered`): {}",
            serde_json::to_string_pretty(&found).unwrap()
        );
        assert_eq!(spoken(&launcher, timeouts, &interrupt).unwrap().profile, profile, "as --profile auto finds it");
    }
}

#[test]
fn a_line_that_takes_a_violation_for_right_is_an_error() {
    let errors = errors_of(
        "case wrong.overlap\n> DMA_MAP address=0x10000 size=0x2000\n< ok\n\
         > DMA_MAP address=0x11000 size=0x1000\n< ok [DMAP-05]\n",
    );
    assert_eq!(errors.len(), 1);
    assert!(errors[0].contains("violation of DMAP-05") && errors[0].contains("wrong.case:5:3"), "{}", errors[0]);
}

#[test]
fn a_line_that_takes_a_violation_for_a_note_is_an_error() {
    let errors =
        errors_of("case wrong.note\n> DMA_MAP address=0x10000 size=0x1000 payload=8\n< error, note ok [DMAP-01]\n");
    assert_eq!(errors.len(), 1);
    assert!(errors[0].contains("takes this as a note"), "{}", errors[0]);
}

#[test]
fn a_wrong_errno_is_an_error() {
    let errors = errors_of(
        "case wrong.errno\n> DMA_MAP address=0x10000 size=0x1000\n< ok\n\
         > DMA_MAP address=0x10000 size=0x1000\n< error EINVAL [DMAP-05]\n",
    );
    assert_eq!(errors.len(), 1);
}

#[test]
fn set_up_that_no_server_may_meet_is_an_error() {
    let errors = errors_of(
        "case wrong.set-up\n> DMA_MAP address=0x10000 size=0x1000\n< error\n> DEVICE_GET_INFO\n< ok [INFO-01]\n",
    );
    assert_eq!(errors.len(), 1);
    assert!(errors[0].contains("set-up cannot conform"), "{}", errors[0]);
}

#[test]
fn a_line_narrower_than_the_model_is_none() {
    let errors = errors_of("case narrow.map\n> DMA_MAP address=0x10000 size=0x1000 flags=0\n< error [DMAP-26]\n");
    assert_eq!(errors, Vec::<String>::new());
}

#[test]
fn words_of_a_parameter_are_compared_like_words() {
    let case = "case words.state\nwith state = stop stop_copy\n\
                > DEVICE_FEATURE flags=set|mig_device_state device_state={state}\n< ok device_state={state} [MIGFSM-02]\n";
    assert_eq!(errors_of(case), Vec::<String>::new());
}

#[test]
fn a_message_that_the_model_does_not_know_is_an_error() {
    let source =
        Arc::new(Source { name: "toy.case".to_owned(), text: "case toy.squeak\n> SQUEAK\n< ok [HDR-14]\n".to_owned() });
    let cases = parse(&source).unwrap();
    let plan = Plan::new(&[(source, cases)], &[], Profile::V0_9_2, &Register::bundled().unwrap()).unwrap();
    let (paper, interrupt) = (PaperTarget::bundled(Profile::V0_9_2).unwrap(), Interrupt::new().unwrap());
    let rehearsal =
        Rehearsal { dialect: &TOY, discovered: &paper.discovered, device: Some(&paper.device), interrupt: &interrupt };
    let errors = rehearse_one(rehearsal, &plan.cases[0]).unwrap();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].message.contains("no ruling for SQUEAK"), "{errors:?}");
    for dialect in Profile::ALL.map(Profile::dialect) {
        for (_, message) in dialect.commands {
            assert!(vfio_user_conformance::model::is_known(dialect, message), "{}: {}", dialect.name, message.name);
        }
    }
}
