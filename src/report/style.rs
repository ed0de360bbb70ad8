//! Colours, by meaning: what is created is green wherever it is shown. It knows no terminal; who prints says whether
//! there is colour at all, and without it every text still says all it says.

use anstyle::{AnsiColor, Style};

/// The colours of one stream, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Palette {
    coloured: bool,
}

impl Palette {
    /// Without colours.
    pub const PLAIN: Self = Self::new(false);

    /// With or without colours.
    #[must_use]
    pub const fn new(coloured: bool) -> Self {
        Self { coloured }
    }

    const fn style(self, style: Style) -> Style {
        if self.coloured { style } else { Style::new() }
    }

    const fn colour(self, colour: AnsiColor) -> Style {
        self.style(Style::new().fg_color(Some(anstyle::Color::Ansi(colour))))
    }

    /// What comes about, and what went well.
    #[must_use]
    pub const fn create(self) -> Style {
        self.colour(AnsiColor::Green)
    }

    /// What changes, and what deserves a look.
    #[must_use]
    pub const fn update(self) -> Style {
        self.colour(AnsiColor::Yellow)
    }

    /// What goes, and what went wrong.
    #[must_use]
    pub const fn remove(self) -> Style {
        self.colour(AnsiColor::Red)
    }

    /// What runs or restarts, and where in a diff one is.
    #[must_use]
    pub const fn act(self) -> Style {
        self.colour(AnsiColor::Cyan)
    }

    /// Titles.
    #[must_use]
    pub const fn title(self) -> Style {
        self.style(Style::new().bold())
    }

    /// The first word of an error.
    #[must_use]
    pub const fn error(self) -> Style {
        self.style(Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Red))).bold())
    }

    /// The first word of a warning.
    #[must_use]
    pub const fn warning(self) -> Style {
        self.style(
            Style::new()
                .fg_color(Some(anstyle::Color::Ansi(AnsiColor::Yellow)))
                .bold(),
        )
    }

    /// What one may skip.
    #[must_use]
    pub const fn faint(self) -> Style {
        self.style(Style::new().dimmed())
    }
}

/// A text in a style, with the style ended behind it.
#[must_use]
pub fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}
