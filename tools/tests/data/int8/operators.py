"""All operators with how their cases are drawn and what computes their outputs."""
import arithmetic
import products

ALL = {}
for family in (products, arithmetic):
    ALL |= family.OPERATORS
