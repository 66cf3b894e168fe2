// SPDX-License-Identifier: GPL-3.0-or-later
#include "widgets/mix/mix_solver.h"

#include "core/base/error.h"

namespace bw {

MixSolver::MixSolver(QObject* parent) : QObject(parent) { pool_.setMaxThreadCount(1); }

MixSolver::~MixSolver() {
    cancel();
    pool_.waitForDone();
}

void MixSolver::cancel() {
    if (job_) job_->requestStop();
    job_.reset();
}

void MixSolver::start(std::shared_ptr<const AssignProblem> problem, quint64 budgetBytes) {
    cancel();
    auto job = job_ = std::make_shared<JobContext>();
    pool_.start([this, job, problem = std::move(problem), budgetBytes] {
        try {
            auto solution = solve(*problem, budgetBytes, *job);
            QMetaObject::invokeMethod(this, [this, job, budgetBytes, solution = std::move(solution)] {
                if (job != job_) return; // a newer question was asked meanwhile
                job_.reset();
                Q_EMIT solved(solution, budgetBytes);
            }, Qt::QueuedConnection);
        } catch (const Error& error) {
            if (error.code() == ErrorCode::cancelled) return;
            const QString message = QString::fromStdString(error.oneLine());
            QMetaObject::invokeMethod(this, [this, job, message] {
                if (job != job_) return;
                job_.reset();
                Q_EMIT failed(message);
            }, Qt::QueuedConnection);
        }
    });
}

} // namespace bw
