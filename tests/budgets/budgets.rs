//! The file with the budgets, and figures held against it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::process::Command;

use dunlin_test_support::say;
use serde::Deserialize;

use super::root;

/// How far a figure may be from its budget, in percent.
const TOLERANCE: u64 = 5;

/// What has the budgets written anew.
const WRITE: &str = "DUNLIN_WRITE_BUDGETS";

const HEAD: &str = "\
# What a push may cost; `tests/budgets` fails at 5 % more. Written by
#     DUNLIN_WRITE_BUDGETS=1 cargo nextest run --workspace -E 'binary(budgets)'
# See benches/README.md for what is counted.
";

/// The figures of one kind, by their names.
pub type Figures = BTreeMap<String, u64>;

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Budgets {
    /// What the instructions were counted with: other compilers make other code.
    compiler: String,
    /// Of the native core, for a thousand of each.
    instructions: Figures,
    /// Of the component.
    fuel: Figures,
}

/// Which part of the file figures are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Instructions,
    Fuel,
}

impl Budgets {
    fn part(&mut self, part: Part) -> &mut Figures {
        match part {
            Part::Instructions => &mut self.instructions,
            Part::Fuel => &mut self.fuel,
        }
    }

    fn text(&self) -> String {
        let mut text = format!("{HEAD}compiler = \"{}\"\n", self.compiler);
        for (name, figures) in [("instructions", &self.instructions), ("fuel", &self.fuel)] {
            write!(text, "\n[{name}]\n").unwrap();
            for (name, figure) in figures {
                writeln!(text, "{name} = {}", grouped(*figure)).unwrap();
            }
        }
        text
    }
}

/// In groups of three digits.
fn grouped(figure: u64) -> String {
    let digits = figure.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('_');
        }
        text.push(digit);
    }
    text
}

/// The compiler that everything is built with.
fn compiler() -> String {
    let output = Command::new("rustc").arg("--version").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Holds figures against the budgets of their part, or makes them the budgets if that is asked for.
///
/// # Panics
/// If one is above its budget by more than the tolerance, or one of the two has no other.
pub fn hold(part: Part, got: &Figures) {
    let writes = std::env::var_os(WRITE).is_some_and(|value| value == "1");
    let path = root().join("tests/budgets/budgets.toml");
    let mut file = OpenOptions::new()
        .read(true)
        .write(writes)
        .create(writes)
        .truncate(false)
        .open(&path)
        .unwrap();
    // The test of the other part may be writing.
    file.lock().unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    let mut budgets = match text.is_empty() {
        true => Budgets::default(),
        false => toml::from_str(&text).unwrap(),
    };
    if writes {
        *budgets.part(part) = got.clone();
        budgets.compiler = compiler();
        return write(&mut file, &budgets.text());
    }
    let compiler = compiler();
    if budgets.compiler != compiler {
        let of = &budgets.compiler;
        say(&format!(
            "the budgets are of {of}, and this is {compiler}: {WRITE}=1 renews them\n"
        ));
    }
    let (faults, remarks) = compared(budgets.part(part), got);
    remarks.iter().for_each(|remark| say(remark));
    // Whoever has another compiler is told, and CI, which has to have that of the budgets, fails.
    let is_required = std::env::var_os("DUNLIN_REQUIRE_PEERS").is_some_and(|value| value == "1");
    if budgets.compiler != compiler && !is_required {
        return faults.iter().for_each(|fault| say(&format!("{fault}\n")));
    }
    assert!(
        faults.is_empty(),
        "{}\nof {}, with {compiler}; if it has to cost that much, {WRITE}=1 renews the budgets",
        faults.join("\n"),
        budgets.compiler
    );
}

fn write(file: &mut File, text: &str) {
    file.rewind().unwrap();
    file.set_len(0).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// What is wrong about figures, and what is to be said of those that are not.
fn compared(budgets: &Figures, got: &Figures) -> (Vec<String>, Vec<String>) {
    let (mut faults, mut remarks) = (Vec::new(), Vec::new());
    for name in budgets.keys().chain(got.keys()) {
        match (budgets.get(name), got.get(name)) {
            (Some(budget), Some(figure)) => {
                let line = line(name, *budget, *figure);
                if *figure * 100 > budget * (100 + TOLERANCE) {
                    faults.push(line);
                } else if *figure * 100 < budget * (100 - TOLERANCE) {
                    remarks.push(format!("{line}: the budget can be lowered\n"));
                }
            }
            (Some(_), None) => faults.push(format!("{name}: a budget, and nothing of that name")),
            (None, _) => faults.push(format!("{name}: there is no budget for it")),
        }
    }
    faults.dedup();
    remarks.dedup();
    (faults, remarks)
}

fn line(name: &str, budget: u64, figure: u64) -> String {
    let change = (figure as f64 / budget.max(1) as f64 - 1.0) * 100.0;
    let (budget, figure) = (grouped(budget), grouped(figure));
    format!("{name}: {figure}, against a budget of {budget} ({change:+.1} %)")
}

#[test]
fn five_percent_is_the_limit_either_way() {
    let of = |figure| Figures::from([("push".to_owned(), figure)]);
    let compared = |figure| {
        let (faults, remarks) = compared(&of(1_000), &of(figure));
        (faults.len(), remarks.len())
    };
    assert_eq!(compared(1_050), (0, 0));
    assert_eq!(compared(1_051), (1, 0));
    assert_eq!(compared(950), (0, 0));
    assert_eq!(compared(949), (0, 1));
    let none = Figures::new();
    assert_eq!(super::budgets::compared(&none, &of(1)).0.len(), 1);
    assert_eq!(super::budgets::compared(&of(1), &none).0.len(), 1);
}

#[test]
fn both_figures_are_told() {
    let line = line("push", 1_000_000, 1_234_567);
    let expected = "push: 1_234_567, against a budget of 1_000_000 (+23.5 %)";
    assert_eq!(line, expected);
}

#[test]
fn what_is_written_is_read_again() {
    let budgets = Budgets {
        compiler: "rustc 1.2.3 (of tests)".to_owned(),
        instructions: Figures::from([("a-b".to_owned(), 1), ("c".to_owned(), 1_000)]),
        fuel: Figures::from([("d".to_owned(), 12_345_678)]),
    };
    assert_eq!(toml::from_str::<Budgets>(&budgets.text()).unwrap(), budgets);
}
