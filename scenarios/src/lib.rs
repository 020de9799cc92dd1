//! towtank: run webhook scenarios, replay captured AdmissionReviews, report.
