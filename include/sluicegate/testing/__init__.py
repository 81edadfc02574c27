"""Shipped with the package: fakes of every port, the contract suites, and real processes for tests."""
