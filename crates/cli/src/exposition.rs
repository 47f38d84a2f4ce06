//! The metrics of a running service, read from the text that it shows them as: Prometheus's
//! exposition format, version 0.0.4.
//!
//! Lines that are no samples are passed over, so comments are, and what is not that format is an
//! [`Exposition`] without any. Bound: that of the text.

/// A metric of every running Dunlin.
const OF_EVERY_SERVICE: &str = "dunlin_requests_total";

/// All samples, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exposition(Vec<Sample>);

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    /// What it says.
    pub value: f64,
}

impl Exposition {
    /// Reads the text.
    pub fn parse(text: &str) -> Self {
        Self(text.lines().filter_map(Sample::parse).collect())
    }

    /// Whether it is that of a Dunlin.
    pub fn is_dunlins(&self) -> bool {
        self.of(OF_EVERY_SERVICE).next().is_some()
    }

    /// The samples of a metric.
    pub fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.0.iter().filter(move |sample| sample.name == name)
    }

    /// The value of a metric where a label has a value; `None` if there is none.
    pub fn value(&self, name: &str, label: &str, labelled: &str) -> Option<f64> {
        let mut samples = self.of(name);
        let sample = samples.find(|sample| sample.label(label) == labelled)?;
        Some(sample.value)
    }
}

impl Sample {
    /// The value of a label; empty if there is none, which is the same.
    pub fn label(&self, name: &str) -> &str {
        let found = self.labels.iter().find(|(label, _)| label == name);
        found.map_or("", |(_, value)| value)
    }

    /// `name 1` or `name{label="value",…} 1`.
    fn parse(line: &str) -> Option<Self> {
        let end = line.find(['{', ' ']).filter(|end| *end > 0)?;
        let (name, rest) = line.split_at(end);
        let mut labels = Vec::new();
        let rest = match rest.strip_prefix('{') {
            None => rest,
            Some(mut rest) => loop {
                if let Some(rest) = rest.strip_prefix('}') {
                    break rest;
                }
                let (label, after) = rest.split_once("=\"")?;
                let (value, after) = quoted(after)?;
                labels.push((label.to_owned(), value));
                rest = after.strip_prefix(',').unwrap_or(after);
            },
        };
        Some(Self {
            name: name.to_owned(),
            labels,
            value: rest.trim().parse().ok()?,
        })
    }
}

/// A value up to its closing quote, and what is behind that.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => value.push(match characters.next()?.1 {
                'n' => '\n',
                escaped => escaped,
            }),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_labels_and_values_are_read_and_nothing_else() {
        let text = "# HELP a What it is.\n# TYPE a counter\na 7\n\
                    b{x=\"1\",y=\"a \\\"b\\\", \\\\\\n}\"} 2.5\nb{x=\"2\"} -1\n<html>\nc{x=\"\nd\n";
        let read = Exposition::parse(text);
        assert_eq!(read.0.len(), 3);
        assert_eq!(read.of("a").next().unwrap().value, 7.0);
        let first = read.of("b").next().unwrap();
        assert_eq!((first.label("y"), first.label("z")), ("a \"b\", \\\n}", ""));
        assert_eq!(read.value("b", "x", "2"), Some(-1.0));
        assert_eq!(read.value("b", "x", "3"), None);
        assert!(!read.is_dunlins() && Exposition::parse("dunlin_requests_total 0").is_dunlins());
    }
}
