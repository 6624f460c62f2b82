"""scikit-learn: regression and classification by the kernel of an infinitely wide network."""

try:
    from ntkspec.sklearn.estimators import NTKClassifier, NTKRegressor
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "sklearn":
        raise
    raise ModuleNotFoundError(
        "scikit-learn is not installed: pip install 'ntkspec[sklearn]'", name=error.name
    ) from None

__all__ = ["NTKClassifier", "NTKRegressor"]
