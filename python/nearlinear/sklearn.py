"""Estimators for scikit-learn. This module needs it, and nothing else here does: ``pip install scikit-learn``."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from nearlinear import _progress
from nearlinear.completion import complete

SCORE_FOLDS = 5


class MatrixCompletion(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    r"""
    What is missing in a matrix, NaN, filled by a model of low rank.

    .. math:: X_{ij} \approx \mu + b_i + c_j + u_i^T v_j

    Parameters
    ----------
    rank : int or None, default 10
        k, cut down to the size of the matrix. None: found on the path of :math:`\lambda`.
    lam : float or "auto", default 1.0
        Weight of the ridge terms of u, v, b and c.
    biases : bool, default True
    nonneg : bool, default False
        Needs ``biases=False``.
    solver, homotopy, validation, patience
        As for `nearlinear.completion.complete`.
    tol : float, default 1e-6
    maxiter : int, default 500
    random_state : int, numpy.random.RandomState, numpy.random.Generator or None, default None
        Decides the start, and what is held out for validation and for the score.
    n_threads : int, optional
        Upper limit on the number of threads. By default `nearlinear.get_num_threads`.
    verbose : bool or "progress", default False
        True logs progress to the logger "nearlinear"; "progress" shows a tqdm bar where tqdm is installed.

    Attributes
    ----------
    completion_ : nearlinear.completion.Completion
        The model of the rows that were fitted, with `predict`, `recommend`, `fold_in` and its history.
    components_ : ndarray, shape (k, n_features)
        The factors of the features, :math:`V^T`.
    rank_ : int
        k.
    lam_ : float
        :math:`\lambda`.
    n_iter_ : int
        Iterations.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        If X was a DataFrame with such names.

    See Also
    --------
    nearlinear.completion.complete : The function behind it, with weights, implicit feedback and more.

    Notes
    -----
    What a sparse X stores was observed, explicit zeros included, and all else is missing. New rows are solved for with
    the factors of the features that were fitted, `nearlinear.completion.Completion.fold_in`, each for itself.

    Examples
    --------
    >>> import numpy as np
    >>> from nearlinear.sklearn import MatrixCompletion
    >>> X = np.outer([1.0, 2, 3, 4, 5], [1.0, 2, 3, 4])
    >>> X[1, 2] = X[4, 0] = np.nan
    >>> model = MatrixCompletion(rank=1, lam=1e-6, biases=False, random_state=0)
    >>> model.fit_transform(X)[[1, 4], [2, 0]].round(2)
    array([6., 5.])
    >>> model.transform([[10.0, np.nan, np.nan, 40.0]]).round(2)
    array([[10., 20., 30., 40.]])
    """

    def __init__(
        self,
        rank: int | None = 10,
        *,
        lam: float | Literal["auto"] = 1.0,
        biases: bool = True,
        nonneg: bool = False,
        solver: Literal["auto", "als", "cg", "vp", "sketch"] = "auto",
        homotopy: Literal["auto"] | bool = "auto",
        tol: float = 1e-6,
        maxiter: int = 500,
        validation: float | None = None,
        patience: int = 5,
        random_state: Any = None,
        n_threads: int | None = None,
        verbose: _progress.Verbose = False,
    ) -> None:
        self.rank = rank
        self.lam = lam
        self.biases = biases
        self.nonneg = nonneg
        self.solver = solver
        self.homotopy = homotopy
        self.tol = tol
        self.maxiter = maxiter
        self.validation = validation
        self.patience = patience
        self.random_state = random_state
        self.n_threads = n_threads
        self.verbose = verbose

    def fit(self, X: Any, y: None = None) -> "MatrixCompletion":
        """
        Fit the model to what is observed.

        Parameters
        ----------
        X : array_like, DataFrame or sparse array, shape (n_samples, n_features)
            NaN for what is missing.
        y : None
            Not used.

        Returns
        -------
        MatrixCompletion
            Itself.

        Raises
        ------
        ValueError
            If an entry is infinite, nothing is observed, or an option is out of range.
        """
        X = self._checked(X, reset=True)
        self.completion_ = complete(
            X,
            self.rank if self.rank is None else min(self.rank, *X.shape),
            lam=self.lam,
            biases=self.biases,
            nonneg=self.nonneg,
            solver=self.solver,
            homotopy=self.homotopy,
            tol=self.tol,
            maxiter=self.maxiter,
            validation=self.validation,
            patience=self.patience,
            underdetermined="ridge",
            seed=self._seed(),
            n_threads=self.n_threads,
            verbose=self.verbose,
        )
        self.components_ = self.completion_.V.T
        self.rank_ = self.completion_.rank
        self.lam_ = self.completion_.lam
        self.n_iter_ = self.completion_.nit
        return self

    def transform(self, X: Any) -> NDArray[np.floating]:
        """
        Fill what is missing.

        Parameters
        ----------
        X : array_like, DataFrame or sparse array, shape (n_samples, n_features)
            Rows that were fitted or new ones, NaN for what is missing.

        Returns
        -------
        ndarray, shape (n_samples, n_features)
            What was observed stays as it is.
        """
        check_is_fitted(self)
        X = self._checked(X, reset=False)
        if hasattr(X, "tocsr"):
            filled = self._rows(X)
            observed = X.tocoo()
            filled[observed.row, observed.col] = observed.data
            return filled.astype(X.dtype, copy=False)
        missing = np.isnan(X)
        filled = np.array(X)
        incomplete = np.flatnonzero(missing.any(axis=1))
        if incomplete.size > 0:
            places = missing[incomplete]
            rows = filled[incomplete]
            rows[places] = self._rows(X[incomplete])[places]
            filled[incomplete] = rows
        return filled

    def predict(self, X: Any) -> NDArray[np.floating]:
        """
        Predict entries, be they observed or not.

        Parameters
        ----------
        X : array_like or DataFrame, shape (n_samples, n_features), or tuple (rows, cols)
            Rows, all entries of which are predicted from what is observed of them; or a tuple of positions in the
            matrix that was fitted.

        Returns
        -------
        ndarray, shape (n_samples, n_features) or (n_pairs,)

        Raises
        ------
        TypeError
            If X is sparse: for some entries of its rows there is ``completion_.fold_in(X).predict(rows, cols)``.
        """
        check_is_fitted(self)
        if _are_pairs(X):
            rows, cols = X
            return np.asarray(self.completion_.predict(rows, cols, n_threads=self.n_threads))
        if hasattr(X, "tocsr"):
            raise TypeError(
                "X is sparse, and predict returns all entries; for some of them there is "
                "completion_.fold_in(X).predict(rows, cols), and transform fills what is missing"
            )
        return self._rows(self._checked(X, reset=False))

    def score(self, X: Any, y: Any = None) -> float:
        """
        Return minus the root mean square error, for model selection: the larger the better.

        Parameters
        ----------
        X : array_like, DataFrame or sparse array, shape (n_samples, n_features), or tuple (rows, cols)
            Rows: a fifth of the entries of each is predicted from the others, and so is each other fifth; or a tuple
            of positions in the matrix that was fitted.
        y : array_like, shape (n_pairs,), optional
            Values at the positions; not used for rows.

        Returns
        -------
        float
        """
        check_is_fitted(self)
        if _are_pairs(X):
            if y is None:
                raise ValueError("y is None; the score of positions needs the values there")
            return -_root_mean_square(self.predict(X) - np.asarray(y, dtype=np.float64))
        X = self._checked(X, reset=False)
        if hasattr(X, "tocsr"):
            observed = X.tocoo()
            rows, cols, values = observed.row, observed.col, observed.data
        else:
            rows, cols = np.nonzero(~np.isnan(X))
            values = X[rows, cols]
        if values.size == 0:
            raise ValueError("X has no observed entry")
        # Entries of a row go to different folds, as far as there are enough.
        order = np.random.default_rng(self._seed()).permutation(values.size)
        order = order[np.argsort(rows[order], kind="stable")]
        fold = np.empty(values.size, np.intp)
        fold[order] = np.arange(values.size) % SCORE_FOLDS
        errors = np.empty(values.size)
        for held in range(SCORE_FOLDS):
            kept, hidden = fold != held, fold == held
            # As a sparse matrix, of which the explicit zeros are observed too.
            folded = self.completion_.fold_in(_sparse(values, rows, cols, kept, X.shape), n_threads=self.n_threads)
            predicted = folded.predict(rows[hidden], cols[hidden], n_threads=self.n_threads)
            errors[hidden] = predicted - values[hidden]
        return -_root_mean_square(errors)

    def _checked(self, X: Any, *, reset: bool) -> Any:
        return validate_data(
            self,
            X,
            reset=reset,
            accept_sparse=("csr", "csc", "coo"),
            dtype=(np.float64, np.float32),
            ensure_all_finite="allow-nan",
        )

    def _rows(self, X: Any) -> NDArray[np.floating]:
        """Return rows of the model for rows of data."""
        return self.completion_.fold_in(X, n_threads=self.n_threads).dense(max_bytes=None)

    def _seed(self) -> Any:
        if self.random_state is None or isinstance(self.random_state, np.random.Generator):
            return self.random_state
        return int(check_random_state(self.random_state).randint(2**31))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _are_pairs(X: Any) -> bool:
    return isinstance(X, tuple) and len(X) == 2


def _sparse(values: Any, rows: Any, cols: Any, kept: NDArray[np.bool_], shape: tuple[int, int]) -> Any:
    from scipy.sparse import coo_array

    return coo_array((values[kept], (rows[kept], cols[kept])), shape=shape)


def _root_mean_square(errors: NDArray[np.floating]) -> float:
    return float(np.sqrt(np.mean(np.square(errors, dtype=np.float64))))
