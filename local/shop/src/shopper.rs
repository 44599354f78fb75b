//! One shopper's year.

use std::collections::{BTreeMap, HashSet};

use crate::calendar::Calendar;
use crate::dice::Dice;
use crate::heroes::Hero;
use crate::personas::{Habit, PERSONAS, Persona};
use crate::stock::{GoodIndex, Goods};

/// What is due within so many days is bought along.
const BUNDLE_DAYS: u32 = 7;
/// Of a hundred shoppers, how many have no habit.
const VISITOR_PERCENT: u32 = 40;
/// Of a hundred regulars, how many are lost.
const LOST_PERCENT: u32 = 35;

/// What one buys on one day: products and quantities.
pub(crate) type DayBasket = BTreeMap<GoodIndex, u32>;

/// Everything that one shopper buys, by day.
pub(crate) type Year = BTreeMap<u32, DayBasket>;

pub(crate) fn chance(goods: &Goods, calendar: &Calendar, dice: &mut Dice) -> Year {
    let mut shopper = Shopper { goods, calendar, dice, year: Year::new(), led_to: HashSet::new() };
    if shopper.dice.percent(VISITOR_PERCENT) {
        shopper.visit();
    } else {
        let regulars = PERSONAS.regulars.iter().map(|persona| (persona, persona.weight));
        if let Some(persona) = shopper.dice.pick(regulars) {
            shopper.come_back(persona);
        }
    }
    shopper.year
}

/// A shopper of a story.
pub(crate) fn hero(hero: &Hero, goods: &Goods, calendar: &Calendar) -> Year {
    let mut year = Year::new();
    for routine in &hero.routines {
        let days =
            (0..routine.times).filter_map(|time| calendar.days_ago(routine.last + routine.every * time));
        let (first, last) = routine.months;
        for day in days.filter(|day| (first..=last).contains(&calendar.month(*day))) {
            for (id, quantity) in &routine.items {
                if let Some(index) = goods.index_of(id) {
                    year.entry(day).or_default().insert(index, *quantity);
                }
            }
        }
    }
    year
}

struct Shopper<'a> {
    goods: &'a Goods,
    calendar: &'a Calendar,
    dice: &'a mut Dice,
    year: Year,
    /// What other purchases have led to.
    led_to: HashSet<&'static str>,
}

/// A habit on its way: when it is due, and what of.
struct RunningHabit {
    habit: &'static Habit,
    due: u32,
    favourite: &'static str,
}

impl Shopper<'_> {
    /// Comes once or a few times, most likely before Christmas.
    fn visit(&mut self) {
        let visits = if self.dice.percent(60) { 1 } else { self.dice.between((2, 5)) };
        for _ in 0..visits {
            let mut day = self.dice.below(self.calendar.days());
            // A second throw for those who come in a month without presents to buy.
            if self.calendar.month(day) < 11 && self.dice.percent(40) {
                day = self.dice.below(self.calendar.days());
            }
            for _ in 0..self.dice.between((1, 3)) {
                if let Some(index) =
                    self.goods.browse(&PERSONAS.visitors_look_at, day, self.calendar, self.dice)
                {
                    self.buy(day, index, 1);
                }
            }
        }
    }

    /// Comes again and again, from some day to the end or until the shop has lost them.
    fn come_back(&mut self, persona: &'static Persona) {
        let days = self.calendar.days();
        let first = self.dice.below(days);
        let end = if self.dice.percent(LOST_PERCENT) { first + self.dice.below(days - first) } else { days };
        if self.dice.percent(persona.starts_percent)
            && let Some(start) = self.dice.pick_from(&persona.starts)
            && let Some(index) = self.goods.index_of(start)
        {
            self.buy(first, index, 1);
        }
        let mut running = Vec::new();
        for habit in &persona.habits {
            if self.dice.percent(habit.share)
                && let Some(favourite) = self.dice.pick_from(&habit.picks)
            {
                let due = first + self.dice.below(habit.every.1);
                running.push(RunningHabit { habit, due, favourite });
            }
        }
        while let Some(day) = running.iter().map(|habit| habit.due).min().filter(|day| *day < end) {
            for habit in running.iter_mut().filter(|habit| habit.due <= day + BUNDLE_DAYS) {
                self.keep_up(day, habit);
            }
            if self.dice.percent(persona.looks_percent)
                && let Some(index) = self.goods.browse(&persona.looks_at, day, self.calendar, self.dice)
            {
                self.buy(day, index, 1);
            }
        }
    }

    fn keep_up(&mut self, day: u32, running: &mut RunningHabit) {
        let habit = running.habit;
        let other = if self.dice.percent(habit.loyal) { None } else { self.dice.pick_from(&habit.picks) };
        let quantity = self.dice.between(habit.quantity);
        running.due = day + self.dice.between(habit.every).max(1);
        if let Some(index) = self.goods.index_of(other.unwrap_or(running.favourite)) {
            self.buy(day, index, quantity);
        }
    }

    /// Buys, and what it leads to.
    fn buy(&mut self, day: u32, index: GoodIndex, quantity: u32) {
        if day >= self.calendar.days() || !self.goods.is_sold(index, day, self.calendar) {
            return;
        }
        *self.year.entry(day).or_default().entry(index).or_default() += quantity;
        for (pair, next) in self.goods.pairs(index) {
            let later = day + self.dice.between(pair.after);
            let in_season = self.goods.season(*next, self.calendar.month(later)).min(10);
            let happens = self.dice.below(1_000) < pair.percent * in_season;
            if happens && (pair.again || self.led_to.insert(&pair.to)) {
                self.buy(later, *next, 1);
            }
        }
    }
}
