"""All operators with how their cases are drawn and what computes their outputs."""
import arithmetic
import products
import recurrent
import scales
import shapes
import unary

ALL = {}
for family in (products, arithmetic, unary, shapes, recurrent, scales):
    ALL |= family.OPERATORS
