//! What an expression comes to.

use super::Expression;

/// Why an expression comes to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// Nothing is known by this name.
    #[error("`{{{0}}}` is not known")]
    Unknown(String),
    /// The result, or a part of it, has more than 127 bits.
    #[error("the expression overflows")]
    Overflow,
}

impl Expression {
    /// The expression's value; `lookup` says what the names in braces are.
    pub fn evaluate(&self, lookup: &dyn Fn(&str) -> Option<i128>) -> Result<i128, EvaluationError> {
        let value = match self {
            Expression::Number { value, .. } => Some(i128::from(*value)),
            Expression::Name(name) => {
                return lookup(name).ok_or_else(|| EvaluationError::Unknown(name.value.clone()));
            }
            Expression::Negative(inner) => inner.evaluate(lookup)?.checked_neg(),
            Expression::Sum(left, right) => left.evaluate(lookup)?.checked_add(right.evaluate(lookup)?),
            Expression::Difference(left, right) => left.evaluate(lookup)?.checked_sub(right.evaluate(lookup)?),
            Expression::Product(left, right) => left.evaluate(lookup)?.checked_mul(right.evaluate(lookup)?),
        };
        value.ok_or(EvaluationError::Overflow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: u64) -> Box<Expression> {
        Box::new(Expression::Number { value, hex: false })
    }

    #[test]
    fn names_are_looked_up() {
        let name = Expression::Name(crate::case::Spanned::new("n".to_owned(), Default::default()));
        let sum = Expression::Sum(Box::new(name), number(1));
        assert_eq!(sum.evaluate(&|name| (name == "n").then_some(6)), Ok(7));
        assert_eq!(sum.evaluate(&|_| None), Err(EvaluationError::Unknown("n".to_owned())));
    }

    #[test]
    fn overflow_is_an_error() {
        let square = Expression::Product(number(u64::MAX), number(u64::MAX));
        assert_eq!(square.evaluate(&|_| None), Err(EvaluationError::Overflow));
    }
}
